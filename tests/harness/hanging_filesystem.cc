#include "tests/harness/hanging_filesystem.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstring>
#include <utility>

#include "absl/strings/str_cat.h"
#include "server/errors/status_macros.h"

namespace fsd::harness {
namespace {

constexpr std::chrono::seconds kPatience{60};
constexpr size_t kMessageBytes = size_t{1} << 20;  // more than FUSE_MIN_READ_BUFFER
constexpr uint32_t kMaxWrite = 128 << 10;
constexpr uint64_t kFirstFile = FUSE_ROOT_ID + 1;

template <typename T>
T As(std::span<const std::byte> bytes) {
  T value{};
  std::memcpy(&value, bytes.data(), std::min(sizeof value, bytes.size()));
  return value;
}

}  // namespace

absl::StatusOr<std::unique_ptr<HangingFilesystem>> HangingFilesystem::Mount(
    const std::string& directory, const std::map<std::string, std::string>& files) {
  os::UniqueFd device(::open("/dev/fuse", O_RDWR | O_CLOEXEC));
  if (!device.valid()) return ErrnoStatus(Errno::Last(), "open /dev/fuse");
  const std::string options =
      absl::StrCat("fd=", device.get(), ",rootmode=40000,user_id=0,group_id=0,allow_other");
  if (::mount("fsd-hanging", directory.c_str(), "fuse", MS_NOSUID | MS_NODEV, options.c_str()) !=
      0) {
    return ErrnoStatus(Errno::Last(), "mount a FUSE file system");
  }
  return std::unique_ptr<HangingFilesystem>(
      new HangingFilesystem(directory, std::move(device), files));
}

HangingFilesystem::HangingFilesystem(std::string directory, os::UniqueFd device,
                                     const std::map<std::string, std::string>& files)
    : directory_(std::move(directory)), device_(std::move(device)) {
  for (const auto& [name, contents] : files) {
    files_.push_back({.name = name, .contents = contents});
  }
  thread_ = std::thread([this] { Serve(); });
}

HangingFilesystem::~HangingFilesystem() {
  Fail();
  // Lazily: a worker may still hold it. Its last user ends the connection, and the read.
  ::umount2(directory_.c_str(), MNT_DETACH);
  thread_.join();
}

void HangingFilesystem::Hang(uint32_t opcode) {
  const std::lock_guard lock(mutex_);
  hung_opcodes_.insert(opcode);
}

void HangingFilesystem::GoOn() { GoOn(0); }
void HangingFilesystem::Fail() { GoOn(EIO); }

void HangingFilesystem::GoOn(int error) {
  const std::lock_guard lock(mutex_);
  hung_opcodes_.clear();
  for (const Message& message : std::exchange(hanging_, {})) {
    if (error == 0) {
      Answer(message);
    } else {
      Reply(As<fuse_in_header>(message), error);
    }
  }
}

bool HangingFilesystem::AwaitHanging(size_t count) {
  std::unique_lock lock(mutex_);
  return changed_.wait_for(lock, kPatience, [&] { return hanging_.size() >= count; });
}

size_t HangingFilesystem::hanging() {
  const std::lock_guard lock(mutex_);
  return hanging_.size();
}

std::string HangingFilesystem::contents(const std::string& name) {
  const std::lock_guard lock(mutex_);
  const auto found = std::ranges::find(files_, name, &File::name);
  return found == files_.end() ? "" : found->contents;
}

size_t HangingFilesystem::answered(uint32_t opcode) {
  const std::lock_guard lock(mutex_);
  return answered_[opcode];
}

void HangingFilesystem::Serve() {
  std::vector<std::byte> buffer(kMessageBytes);
  while (true) {
    const ssize_t length = ::read(device_.get(), buffer.data(), buffer.size());
    if (length < 0 && (errno == EINTR || errno == ENOENT || errno == EAGAIN)) continue;
    if (length < static_cast<ssize_t>(sizeof(fuse_in_header))) return;  // ENODEV: unmounted
    Message message(buffer.begin(), buffer.begin() + length);
    const std::lock_guard lock(mutex_);
    if (hung_opcodes_.contains(As<fuse_in_header>(message).opcode)) {
      hanging_.push_back(std::move(message));
      changed_.notify_all();
    } else {
      Answer(message);
    }
  }
}

void HangingFilesystem::Answer(const Message& message) {
  const auto header = As<fuse_in_header>(message);
  const std::span<const std::byte> body = std::span(message).subspan(sizeof(fuse_in_header));
  ++answered_[header.opcode];
  const bool is_file = header.nodeid >= kFirstFile && header.nodeid < kFirstFile + files_.size();
  File* const file = is_file ? &files_[header.nodeid - kFirstFile] : nullptr;
  switch (header.opcode) {
    case FUSE_INIT: {
      fuse_init_out out{};
      out.major = FUSE_KERNEL_VERSION;
      out.minor = FUSE_KERNEL_MINOR_VERSION;
      out.max_readahead = 0;
      out.flags = FUSE_BIG_WRITES | FUSE_ASYNC_READ;
      out.max_background = 64;
      out.congestion_threshold = 48;
      out.max_write = kMaxWrite;
      out.time_gran = 1;
      return Reply(header, out);
    }
    case FUSE_LOOKUP: {
      const std::string name(reinterpret_cast<const char*>(body.data()));
      const auto found = std::ranges::find(files_, name, &File::name);
      if (found == files_.end()) return Reply(header, ENOENT);
      fuse_entry_out out{};
      out.nodeid = kFirstFile + static_cast<uint64_t>(found - files_.begin());
      out.attr = AttributesOf(out.nodeid);
      return Reply(header, out);
    }
    case FUSE_GETATTR:
    case FUSE_SETATTR: {
      const auto in = As<fuse_setattr_in>(body);
      if (header.opcode == FUSE_SETATTR && file != nullptr && (in.valid & FATTR_SIZE) != 0) {
        file->contents.resize(in.size);
      }
      fuse_attr_out out{};
      out.attr = AttributesOf(header.nodeid);
      return Reply(header, out);
    }
    case FUSE_OPEN:
    case FUSE_OPENDIR:
      return Reply(header, fuse_open_out{});
    case FUSE_READ: {
      const auto in = As<fuse_read_in>(body);
      if (file == nullptr) return Reply(header, EISDIR);
      const auto bytes = std::as_bytes(std::span(file->contents));
      const size_t from = std::min<size_t>(in.offset, bytes.size());
      return Reply(header, 0, bytes.subspan(from, std::min<size_t>(in.size, bytes.size() - from)));
    }
    case FUSE_WRITE: {
      const auto in = As<fuse_write_in>(body);
      if (file == nullptr) return Reply(header, EBADF);
      const auto data = body.subspan(sizeof in, in.size);
      if (file->contents.size() < in.offset + in.size) file->contents.resize(in.offset + in.size);
      std::memcpy(file->contents.data() + in.offset, data.data(), data.size());
      return Reply(header, fuse_write_out{.size = in.size, .padding = 0});
    }
    case FUSE_READDIR:
      return List(header, As<fuse_read_in>(body));
    case FUSE_STATFS:
      return Reply(header, fuse_statfs_out{});
    case FUSE_FSYNC:
    case FUSE_FSYNCDIR:
    case FUSE_RELEASE:
    case FUSE_RELEASEDIR:
      return Reply(header, 0);
    case FUSE_FORGET:
    case FUSE_BATCH_FORGET:
    case FUSE_INTERRUPT:
      return;
    default:
      return Reply(header, ENOSYS);
  }
}

void HangingFilesystem::List(const fuse_in_header& header, const fuse_read_in& in) {
  std::vector<std::byte> entries;
  for (size_t i = in.offset; i < files_.size(); ++i) {
    const std::string& name = files_[i].name;
    const size_t bytes = FUSE_DIRENT_ALIGN(FUSE_NAME_OFFSET + name.size());
    if (entries.size() + bytes > in.size) break;
    const fuse_dirent entry{.ino = kFirstFile + i,
                            .off = i + 1,
                            .namelen = static_cast<uint32_t>(name.size()),
                            .type = S_IFREG >> 12};
    const size_t at = entries.size();
    entries.resize(at + bytes);
    std::memcpy(&entries[at], &entry, FUSE_NAME_OFFSET);
    std::memcpy(&entries[at] + FUSE_NAME_OFFSET, name.data(), name.size());
  }
  Reply(header, 0, entries);
}

fuse_attr HangingFilesystem::AttributesOf(uint64_t node) const {
  fuse_attr attributes{};
  attributes.ino = node;
  attributes.nlink = 1;
  attributes.blksize = 4096;
  attributes.mode = node == FUSE_ROOT_ID ? S_IFDIR | 0755 : S_IFREG | 0644;
  if (node >= kFirstFile && node < kFirstFile + files_.size()) {
    attributes.size = files_[node - kFirstFile].contents.size();
    attributes.blocks = (attributes.size + 511) / 512;
  }
  return attributes;
}

void HangingFilesystem::Reply(const fuse_in_header& header, int error,
                              std::span<const std::byte> body) {
  const fuse_out_header out{.len = static_cast<uint32_t>(sizeof(fuse_out_header) + body.size()),
                            .error = -error,
                            .unique = header.unique};
  std::array<iovec, 2> pieces{
      {{.iov_base = const_cast<fuse_out_header*>(&out), .iov_len = sizeof out},
       {.iov_base = const_cast<std::byte*>(body.data()), .iov_len = body.size()}}};
  // ENOENT: whoever asked is gone.
  [[maybe_unused]] const ssize_t written =
      ::writev(device_.get(), pieces.data(), body.empty() ? 1 : 2);
}

}  // namespace fsd::harness
