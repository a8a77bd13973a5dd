// What tests expect of an ErrnoOr.
#ifndef FSD_BACKENDS_ERRNO_EXPECTATIONS_H_
#define FSD_BACKENDS_ERRNO_EXPECTATIONS_H_

#include <utility>

#include "gtest/gtest.h"
#include "server/errors/errno_or.h"

// `expression` (an ErrnoOr) failed with `expected`.
#define EXPECT_ERRNO(expression, expected)                  \
  do {                                                      \
    const auto result_ = (expression);                      \
    ASSERT_FALSE(result_.ok()) << "expected " << #expected; \
    EXPECT_EQ(result_.error().value(), expected);           \
  } while (false)

// `expression` (an ErrnoOr) succeeded.
#define EXPECT_SUCCESS(expression)                                                         \
  do {                                                                                     \
    const auto result_ = (expression);                                                     \
    EXPECT_TRUE(result_.ok()) << "errno " << (result_.ok() ? 0 : result_.error().value()); \
  } while (false)

namespace fsd::backends {

// The value of an ErrnoOr that must have succeeded.
template <typename T>
T Must(ErrnoOr<T> result) {
  EXPECT_TRUE(result.ok()) << "errno " << (result.ok() ? 0 : result.error().value());
  return std::move(result).value();
}

}  // namespace fsd::backends

#endif  // FSD_BACKENDS_ERRNO_EXPECTATIONS_H_
