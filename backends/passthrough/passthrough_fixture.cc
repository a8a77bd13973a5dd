#include "backends/passthrough/passthrough_fixture.h"

#include <fcntl.h>
#include <linux/fs.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <utility>

#include "server/errors/check.h"
#include "server/os/unique_fd.h"

namespace fsd::passthrough {

TemporaryDirectory::TemporaryDirectory() : path_("/tmp/passthroughXXXXXX") {
  FSD_CHECK(::mkdtemp(path_.data()) != nullptr);
  FSD_CHECK(::chmod(path_.c_str(), 0777) == 0);
}

TemporaryDirectory::~TemporaryDirectory() { std::filesystem::remove_all(path_); }

int OpenFdCount() {
  const std::filesystem::directory_iterator fds("/proc/self/fd");
  return static_cast<int>(std::distance(begin(fds), end(fds)));
}

std::unique_ptr<PassthroughFilesystem> Serve(const std::string& directory, Options options) {
  options.root.reset(::open(directory.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  options.proc_self_fd.reset(::open("/proc/self/fd", O_PATH | O_DIRECTORY | O_CLOEXEC));
  auto filesystem = PassthroughFilesystem::Create(std::move(options));
  FSD_CHECK(filesystem.ok());
  return *std::move(filesystem);
}

PassthroughFixture::PassthroughFixture() {
  FSD_CHECK(::mkdir(Host("").c_str(), 0777) == 0 && ::chmod(Host("").c_str(), 0777) == 0);
  ServeWith({});
}

void PassthroughFixture::ServeWith(Options options) {
  filesystem_ = Serve(Host(""), std::move(options));
  fs = std::make_unique<backends::FilesystemDriver>(*filesystem_);
}

void PassthroughFixture::WriteHost(const std::string& path, const std::string& contents) {
  std::ofstream(path, std::ios::trunc) << contents;
}

std::string PassthroughFixture::ReadHost(const std::string& path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), {}};
}

void PassthroughFixture::SetHostFlag(const std::string& name, int flag, bool on) {
  const os::UniqueFd fd(::open(Host(name).c_str(), O_RDONLY | O_CLOEXEC));
  int flags = 0;
  FSD_CHECK(::ioctl(fd.get(), FS_IOC_GETFLAGS, &flags) == 0);
  flags = on ? flags | flag : flags & ~flag;
  FSD_CHECK(::ioctl(fd.get(), FS_IOC_SETFLAGS, &flags) == 0);
}

}  // namespace fsd::passthrough
