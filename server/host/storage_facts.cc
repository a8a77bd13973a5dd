#include <dirent.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <system_error>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "server/host/host_facts.h"
#include "server/os/unique_fd.h"
#include "server/supervisor/paths.h"

namespace fsd::host {
namespace {

struct Magic {
  unsigned long number;
  const char* name;
};

constexpr std::array<Magic, 14> kMagics = {{
    {EXT4_SUPER_MAGIC, "ext4"},
    {XFS_SUPER_MAGIC, "xfs"},
    {BTRFS_SUPER_MAGIC, "btrfs"},
    {TMPFS_MAGIC, "tmpfs"},
    {F2FS_SUPER_MAGIC, "f2fs"},
    {0x2fc12fc1, "zfs"},
    {NFS_SUPER_MAGIC, "nfs"},
    {0x65735546, "fuse"},
    {OVERLAYFS_SUPER_MAGIC, "overlay"},
    {V9FS_MAGIC, "9p"},
    {0xff534d42, "cifs"},
    {0xfe534d42, "cifs"},  // SMB 2 and later
    {0x00c36400, "ceph"},
    {0xca451a4e, "bcachefs"},
}};

std::string NameOf(const struct statfs& filesystem) {
  const auto number = static_cast<uint32_t>(filesystem.f_type);
  for (const Magic& magic : kMagics) {
    if (magic.number == number) return magic.name;
  }
  return absl::StrFormat("0x%x", number);
}

int HandleError(int fd) {
  // As long as those that fsd has room for.
  constexpr unsigned kMaxBytes = 40;
  alignas(file_handle) std::array<char, sizeof(file_handle) + kMaxBytes> space{};
  auto* const handle = reinterpret_cast<file_handle*>(space.data());
  handle->handle_bytes = kMaxBytes;
  int mount = 0;
  return ::name_to_handle_at(fd, "", handle, &mount, AT_EMPTY_PATH) == 0 ? 0 : errno;
}

void ProbeWriting(int directory, DirectoryFacts& facts) {
  // It has no name, and goes with its descriptor.
  const os::UniqueFd file(::openat(directory, ".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600));
  if (file.valid()) {
    facts.sync_error = ::fsync(file.get()) == 0 ? 0 : errno;
    return;
  }
  if (errno != EOPNOTSUPP && errno != EISDIR) {
    facts.write_error = errno;
    return;
  }
  // A file system without such files: what it would let us do, and whether it syncs a directory.
  facts.write_error = ::faccessat(directory, ".", W_OK, AT_EACCESS) == 0 ? 0 : errno;
  facts.sync_error = ::fsync(directory) == 0 ? 0 : errno;
}

// The paths that sockets of this network namespace are bound to (proc_net(5)).
std::set<std::string> BoundPaths() {
  std::ifstream file("/proc/net/unix");
  std::set<std::string> paths;
  std::string line;
  while (std::getline(file, line)) {
    const size_t path = line.find(" /");
    if (path != std::string::npos) paths.insert(line.substr(path + 1));
  }
  return paths;
}

template <typename Visit>
void ForEachIn(const std::string& directory, const Visit& visit) {
  std::error_code error;
  for (std::filesystem::directory_iterator it(directory, error), end; !error && it != end;
       it.increment(error)) {
    visit(*it);
  }
}

}  // namespace

SourceFacts ReadSourceFacts(const std::string& path) {
  SourceFacts facts{.path = path};
  const os::UniqueFd fd(::open(path.c_str(), O_PATH | O_CLOEXEC));
  struct stat found;
  struct statfs filesystem;
  if (!fd.valid() || ::fstat(fd.get(), &found) != 0 || ::fstatfs(fd.get(), &filesystem) != 0) {
    facts.open_error = errno;
    return facts;
  }
  facts.is_directory = S_ISDIR(found.st_mode);
  facts.filesystem = NameOf(filesystem);
  facts.handle_error = HandleError(fd.get());
  return facts;
}

DirectoryFacts ReadDirectoryFacts(const std::string& key, const std::string& path) {
  DirectoryFacts facts{.key = key, .path = path, .exists = true, .user = ::geteuid()};
  std::string nearest = path;
  os::UniqueFd fd(::open(nearest.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  while (!fd.valid() && errno == ENOENT && nearest != "/") {
    facts.exists = false;
    const size_t slash = nearest.rfind('/');
    nearest = slash == 0 ? "/" : nearest.substr(0, slash);
    fd.reset(::open(nearest.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  }
  struct stat found;
  struct statfs filesystem;
  if (!fd.valid() || ::fstat(fd.get(), &found) != 0 || ::fstatfs(fd.get(), &filesystem) != 0) {
    facts.open_error = errno;
    return facts;
  }
  facts.owner = found.st_uid;
  facts.others_write = (found.st_mode & S_IWOTH) != 0;
  facts.is_volatile = NameOf(filesystem) == "tmpfs";
  facts.free_bytes = filesystem.f_bavail * static_cast<uint64_t>(filesystem.f_bsize);
  // Some file systems do not count files.
  facts.free_files = filesystem.f_files == 0 ? UINT64_MAX : filesystem.f_ffree;
  ProbeWriting(fd.get(), facts);
  return facts;
}

LeftoverFacts ReadLeftoverFacts(const std::string& state_dir, const std::string& runtime_dir) {
  LeftoverFacts facts;
  const std::set<std::string> bound = BoundPaths();
  for (const char* place : {"exports", "control"}) {
    ForEachIn(supervisor::JoinPath(runtime_dir, place), [&](const auto& entry) {
      std::error_code error;
      if (entry.is_socket(error) && !bound.contains(entry.path())) {
        facts.dead_sockets.push_back(entry.path());
      }
    });
  }
  ForEachIn(supervisor::JoinPath(state_dir, "exports"), [&](const auto& entry) {
    if (entry.path().extension() == ".damaged") facts.damaged_records.push_back(entry.path());
  });
  std::sort(facts.dead_sockets.begin(), facts.dead_sockets.end());
  std::sort(facts.damaged_records.begin(), facts.damaged_records.end());
  return facts;
}

}  // namespace fsd::host
