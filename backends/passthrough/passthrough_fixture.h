// PassthroughFixture: a passthrough file system over an empty directory of the host, and what a
// test wants to see of it.
#ifndef FSD_BACKENDS_PASSTHROUGH_PASSTHROUGH_FIXTURE_H_
#define FSD_BACKENDS_PASSTHROUGH_PASSTHROUGH_FIXTURE_H_

#include <memory>
#include <string>

#include "backends/errno_expectations.h"
#include "backends/filesystem_driver.h"
#include "backends/passthrough/passthrough_filesystem.h"
#include "gtest/gtest.h"

namespace fsd::passthrough {

using backends::Must;

// An empty directory below /tmp that goes with its owner, contents and all. World-writable.
class TemporaryDirectory {
 public:
  TemporaryDirectory();
  ~TemporaryDirectory();
  TemporaryDirectory(const TemporaryDirectory&) = delete;
  TemporaryDirectory& operator=(const TemporaryDirectory&) = delete;

  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

// The descriptors this process has open.
int OpenFdCount();

// A file system over `directory`; its other options as in `options`.
std::unique_ptr<PassthroughFilesystem> Serve(const std::string& directory, Options options = {});

class PassthroughFixture : public ::testing::Test {
 protected:
  static constexpr NodeId kRoot = backends::kRootNodeId;

  // Serves again with other options.
  void ServeWith(Options options);
  // The path of a name on the share, for the host's side of a test.
  std::string Host(const std::string& name) const { return directory_.path() + "/share/" + name; }
  // A path beside the share, which no guest may come to.
  std::string Outside(const std::string& name) const { return directory_.path() + "/" + name; }
  void WriteHost(const std::string& path, const std::string& contents);
  std::string ReadHost(const std::string& path);
  // Sets or clears an inode flag (FS_IMMUTABLE_FL …) of the file `name` on the share. Takes real
  // root.
  void SetHostFlag(const std::string& name, int flag, bool on);

  PassthroughFixture();

  TemporaryDirectory directory_;
  std::unique_ptr<PassthroughFilesystem> filesystem_;
  std::unique_ptr<backends::FilesystemDriver> fs;
};

}  // namespace fsd::passthrough

#endif  // FSD_BACKENDS_PASSTHROUGH_PASSTHROUGH_FIXTURE_H_
