#include "backends/filesystem_driver.h"

#include <fcntl.h>

#include <array>

#include "server/errors/status_macros.h"

namespace fsd::backends {
namespace {

// In two pieces, as guests hand buffers out.
std::array<iovec, 2> Halves(std::string_view bytes) {
  char* start = const_cast<char*>(bytes.data());
  const size_t half = bytes.size() / 2;
  return {iovec{start, half}, iovec{start + half, bytes.size() - half}};
}

}  // namespace

void EntryCollector::Add(const DirectoryEntry& directory_entry, const Entry* entry) {
  Collected collected{.name = std::string(directory_entry.name),
                      .ino = directory_entry.ino,
                      .next_offset = directory_entry.next_offset,
                      .type = directory_entry.type,
                      .entry = std::nullopt};
  if (entry != nullptr) collected.entry = *entry;
  entries.push_back(std::move(collected));
}

template <typename Operation>
ErrnoOr<std::string> FilesystemDriver::Fill(size_t room, Operation operation) const {
  std::string data(room, '?');
  const std::array<iovec, 2> pieces = Halves(data);
  FSD_ASSIGN_OR_RETURN_ERRNO(const size_t length,
                             Await<size_t>([&](auto call) { return operation(call, pieces); }));
  data.resize(length);
  return data;
}

ErrnoOr<Entry> FilesystemDriver::Lookup(NodeId parent, std::string_view name) const {
  return Await<Entry>([&](auto call) { return filesystem_.Lookup(call, parent, name); });
}

ErrnoOr<Entry> FilesystemDriver::MakeDirectory(NodeId parent, std::string_view name,
                                               uint32_t mode) const {
  return Await<Entry>(
      [&](auto call) { return filesystem_.MakeDirectory(call, parent, name, mode, {}); });
}

ErrnoOr<Entry> FilesystemDriver::MakeNode(NodeId parent, std::string_view name,
                                          uint32_t mode) const {
  return Await<Entry>(
      [&](auto call) { return filesystem_.MakeNode(call, parent, name, mode, 0, {}); });
}

ErrnoOr<Entry> FilesystemDriver::Symlink(NodeId parent, std::string_view name,
                                         std::string_view target) const {
  return Await<Entry>(
      [&](auto call) { return filesystem_.Symlink(call, parent, name, target, {}); });
}

ErrnoOr<Entry> FilesystemDriver::Link(NodeId node, NodeId parent, std::string_view name) const {
  return Await<Entry>([&](auto call) { return filesystem_.Link(call, node, parent, name); });
}

ErrnoOr<void> FilesystemDriver::Unlink(NodeId parent, std::string_view name) const {
  return Await<void>([&](auto call) { return filesystem_.Unlink(call, parent, name); });
}

ErrnoOr<void> FilesystemDriver::RemoveDirectory(NodeId parent, std::string_view name) const {
  return Await<void>([&](auto call) { return filesystem_.RemoveDirectory(call, parent, name); });
}

ErrnoOr<void> FilesystemDriver::Rename(NodeId parent, std::string_view name, NodeId new_parent,
                                       std::string_view new_name, uint32_t flags) const {
  return Await<void>([&](auto call) {
    return filesystem_.Rename(call, parent, name, new_parent, new_name, flags);
  });
}

ErrnoOr<std::string> FilesystemDriver::ReadLink(NodeId node, size_t room) const {
  return Fill(room, [&](auto call, IoVectors destination) {
    return filesystem_.ReadLink(call, node, destination);
  });
}

ErrnoOr<Attributes> FilesystemDriver::GetAttributes(NodeId node) const {
  return Await<Attributes>(
      [&](auto call) { return filesystem_.GetAttributes(call, node, std::nullopt); });
}

ErrnoOr<Attributes> FilesystemDriver::SetAttributes(NodeId node,
                                                    const AttributeChanges& changes) const {
  return Await<Attributes>(
      [&](auto call) { return filesystem_.SetAttributes(call, node, std::nullopt, changes); });
}

ErrnoOr<CreatedFile> FilesystemDriver::Create(NodeId parent, std::string_view name, uint32_t flags,
                                              uint32_t mode, uint32_t umask) const {
  return Await<CreatedFile>([&](auto call) {
    return filesystem_.Create(call, parent, name, mode, {.flags = flags}, {.umask = umask});
  });
}

ErrnoOr<CreatedFile> FilesystemDriver::CreateTemporary(NodeId parent, uint32_t flags, uint32_t mode,
                                                       uint32_t umask) const {
  return Await<CreatedFile>([&](auto call) {
    return filesystem_.CreateTemporary(call, parent, mode, {.flags = flags}, {.umask = umask});
  });
}

ErrnoOr<FileHandle> FilesystemDriver::Open(NodeId node, uint32_t flags) const {
  FSD_ASSIGN_OR_RETURN_ERRNO(const OpenFile file, Await<OpenFile>([&](auto call) {
                               return filesystem_.Open(call, node, {.flags = flags});
                             }));
  return file.handle;
}

ErrnoOr<std::string> FilesystemDriver::Read(NodeId node, FileHandle handle, uint64_t offset,
                                            size_t size) const {
  return Fill(size, [&](auto call, IoVectors destination) {
    return filesystem_.Read(call, node, handle, offset, destination);
  });
}

ErrnoOr<size_t> FilesystemDriver::Write(NodeId node, FileHandle handle, uint64_t offset,
                                        std::string_view data, WriteOptions options) const {
  const std::array<iovec, 2> pieces = Halves(data);
  return Await<size_t>(
      [&](auto call) { return filesystem_.Write(call, node, handle, offset, pieces, options); });
}

ErrnoOr<void> FilesystemDriver::Flush(NodeId node, FileHandle handle, uint64_t lock_owner) const {
  return Await<void>([&](auto call) { return filesystem_.Flush(call, node, handle, lock_owner); });
}

ErrnoOr<void> FilesystemDriver::Release(NodeId node, FileHandle handle) const {
  return Await<void>([&](auto call) { return filesystem_.Release(call, node, handle); });
}

ErrnoOr<void> FilesystemDriver::Fallocate(NodeId node, FileHandle handle, uint32_t mode,
                                          uint64_t offset, uint64_t length) const {
  return Await<void>(
      [&](auto call) { return filesystem_.Fallocate(call, node, handle, mode, offset, length); });
}

ErrnoOr<uint64_t> FilesystemDriver::Seek(NodeId node, FileHandle handle, uint64_t offset,
                                         uint32_t whence) const {
  return Await<uint64_t>(
      [&](auto call) { return filesystem_.Seek(call, node, handle, offset, whence); });
}

ErrnoOr<uint64_t> FilesystemDriver::CopyRange(const FileRange& from, const FileRange& to,
                                              uint64_t length, uint32_t flags) const {
  return Await<uint64_t>(
      [&](auto call) { return filesystem_.CopyRange(call, from, to, length, flags); });
}

ErrnoOr<std::string> FilesystemDriver::Ioctl(NodeId node, FileHandle handle, uint32_t command,
                                             std::string_view input, size_t room) const {
  return Fill(room, [&](auto call, IoVectors output) {
    return filesystem_.Ioctl(call, node, handle, command, {input.data(), input.size()}, output);
  });
}

ErrnoOr<void> FilesystemDriver::SyncFilesystem(NodeId node) const {
  return Await<void>([&](auto call) { return filesystem_.SyncFilesystem(call, node); });
}

ErrnoOr<FileLock> FilesystemDriver::GetLock(NodeId node, FileHandle handle, uint64_t owner,
                                            const FileLock& lock) const {
  return Await<FileLock>(
      [&](auto call) { return filesystem_.GetLock(call, node, handle, owner, lock); });
}

ErrnoOr<void> FilesystemDriver::SetLock(NodeId node, FileHandle handle, const FileLock& lock,
                                        LockOptions options) const {
  return StartSetLock(node, handle, lock, options)->Wait();
}

std::unique_ptr<StartedCall<void>> FilesystemDriver::StartSetLock(NodeId node, FileHandle handle,
                                                                  const FileLock& lock,
                                                                  LockOptions options) const {
  return std::make_unique<StartedCall<void>>(
      caller_, [&](auto call) { return filesystem_.SetLock(call, node, handle, lock, options); });
}

ErrnoOr<void> FilesystemDriver::SetXattr(NodeId node, std::string_view name, std::string_view value,
                                         uint32_t flags, bool kill_sgid) const {
  return Await<void>([&](auto call) {
    return filesystem_.SetXattr(call, node, name, {value.data(), value.size()}, flags, kill_sgid);
  });
}

ErrnoOr<std::string> FilesystemDriver::GetXattr(NodeId node, std::string_view name,
                                                size_t room) const {
  return Fill(room, [&](auto call, IoVectors destination) {
    return filesystem_.GetXattr(call, node, name, destination);
  });
}

ErrnoOr<std::string> FilesystemDriver::ListXattr(NodeId node, size_t room) const {
  return Fill(room, [&](auto call, IoVectors destination) {
    return filesystem_.ListXattr(call, node, destination);
  });
}

ErrnoOr<void> FilesystemDriver::RemoveXattr(NodeId node, std::string_view name) const {
  return Await<void>([&](auto call) { return filesystem_.RemoveXattr(call, node, name); });
}

ErrnoOr<FileHandle> FilesystemDriver::OpenDirectory(NodeId node) const {
  FSD_ASSIGN_OR_RETURN_ERRNO(const OpenFile file, Await<OpenFile>([&](auto call) {
                               return filesystem_.OpenDirectory(call, node, O_RDONLY | O_DIRECTORY);
                             }));
  return file.handle;
}

ErrnoOr<void> FilesystemDriver::ReadDirectory(NodeId node, FileHandle handle, uint64_t offset,
                                              DirectorySink& sink, bool plus) const {
  return Await<void>([&](auto call) {
    return plus ? filesystem_.ReadDirectoryPlus(call, node, handle, offset, sink)
                : filesystem_.ReadDirectory(call, node, handle, offset, sink);
  });
}

ErrnoOr<void> FilesystemDriver::ReleaseDirectory(NodeId node, FileHandle handle) const {
  return Await<void>([&](auto call) { return filesystem_.ReleaseDirectory(call, node, handle); });
}

ErrnoOr<Entry> FilesystemDriver::MakeFile(NodeId parent, std::string_view name,
                                          std::string_view contents) const {
  FSD_ASSIGN_OR_RETURN_ERRNO(const CreatedFile file, Create(parent, name, O_RDWR | O_EXCL));
  if (!contents.empty()) {
    FSD_ASSIGN_OR_RETURN_ERRNO(const size_t written,
                               Write(file.entry.node, file.handle, 0, contents));
    if (written != contents.size()) return Errno(EIO);
  }
  FSD_RETURN_IF_ERRNO(Release(file.entry.node, file.handle));
  return file.entry;
}

ErrnoOr<std::string> FilesystemDriver::Contents(NodeId node) const {
  FSD_ASSIGN_OR_RETURN_ERRNO(const FileHandle handle, Open(node, O_RDONLY));
  FSD_ASSIGN_OR_RETURN_ERRNO(const Attributes attributes, GetAttributes(node));
  FSD_ASSIGN_OR_RETURN_ERRNO(std::string contents, Read(node, handle, 0, attributes.stx_size + 1));
  FSD_RETURN_IF_ERRNO(Release(node, handle));
  return contents;
}

ErrnoOr<std::set<std::string>> FilesystemDriver::Names(NodeId directory, size_t batch) const {
  FSD_ASSIGN_OR_RETURN_ERRNO(const FileHandle handle, OpenDirectory(directory));
  std::set<std::string> names;
  uint64_t offset = 0;
  while (true) {
    EntryCollector collector(batch);
    FSD_RETURN_IF_ERRNO(ReadDirectory(directory, handle, offset, collector, false));
    if (collector.entries.empty()) break;
    for (const auto& entry : collector.entries) {
      if (!names.insert(entry.name).second) return Errno(EIO);
    }
    offset = collector.entries.back().next_offset;
  }
  FSD_RETURN_IF_ERRNO(ReleaseDirectory(directory, handle));
  return names;
}

}  // namespace fsd::backends
