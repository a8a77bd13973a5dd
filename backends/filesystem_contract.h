// The contract that every backend keeps, as test suites, one file per family of operations.
//
// A backend's test instantiates FilesystemContract with a factory for each way of making an empty
// file system, and the suites of the optional families with those that have them:
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

// What not every file system has. What it lacks it refuses: ENOSYS, of an operation's flag EINVAL
// or EOPNOTSUPP.
struct FilesystemFeatures {
  bool xattrs = true;     // XattrContract
  bool locks = true;      // LockContract
  bool ioctls = true;     // whichever: others are ENOTTY
  bool whiteouts = true;  // RENAME_WHITEOUT
};

struct FilesystemFactory {
  std::string name;
  // An empty file system.
  std::function<std::unique_ptr<FilesystemUnderTest>()> make;
  FilesystemFeatures features = {};

  friend void PrintTo(const FilesystemFactory& factory, std::ostream* out) { *out << factory.name; }
};

class FilesystemContract : public ::testing::TestWithParam<FilesystemFactory> {
 protected:
  static constexpr NodeId kRoot = kRootNodeId;

  FilesystemContract() : under_test_(GetParam().make()), fs(under_test_->filesystem()) {}

  const FilesystemFeatures& features() const { return GetParam().features; }

  std::unique_ptr<FilesystemUnderTest> under_test_;
  FilesystemDriver fs;
};

class XattrContract : public FilesystemContract {};
class LockContract : public FilesystemContract {};

}  // namespace fsd::backends

#endif  // FSD_BACKENDS_FILESYSTEM_CONTRACT_H_
