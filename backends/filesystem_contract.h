// The contract that every backend keeps, as a test suite.
//
// A backend's test instantiates it with a factory for each way of making an empty file system:
//
//   INSTANTIATE_TEST_SUITE_P(Memory, FilesystemContract, ::testing::Values(FilesystemFactory{…}));
#ifndef FSD_BACKENDS_FILESYSTEM_CONTRACT_H_
#define FSD_BACKENDS_FILESYSTEM_CONTRACT_H_

#include <functional>
#include <memory>
#include <ostream>
#include <string>

#include "backends/errno_expectations.h"
#include "backends/filesystem.h"
#include "backends/filesystem_driver.h"
#include "gtest/gtest.h"

namespace fsd::backends {

// A file system with whatever has to outlive it (a directory to serve, a backend it wraps).
class FilesystemUnderTest {
 public:
  virtual ~FilesystemUnderTest() = default;
  virtual Filesystem& filesystem() = 0;
};

struct FilesystemFactory {
  std::string name;
  // An empty file system.
  std::function<std::unique_ptr<FilesystemUnderTest>()> make;

  friend void PrintTo(const FilesystemFactory& factory, std::ostream* out) { *out << factory.name; }
};

class FilesystemContract : public ::testing::TestWithParam<FilesystemFactory> {
 protected:
  FilesystemContract() : under_test_(GetParam().make()), fs(under_test_->filesystem()) {}

  std::unique_ptr<FilesystemUnderTest> under_test_;
  FilesystemDriver fs;
};

}  // namespace fsd::backends

#endif  // FSD_BACKENDS_FILESYSTEM_CONTRACT_H_
