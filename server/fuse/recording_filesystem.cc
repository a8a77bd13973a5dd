#include "server/fuse/recording_filesystem.h"

#include <algorithm>
#include <cstring>
#include <memory>
#include <thread>

#include "server/fuse/recording_text.h"

namespace fsd::fuse {

using backends::Attributes;
using backends::Call;
using backends::Completion;
using backends::CreatedFile;
using backends::Entry;
using backends::FileHandle;
using backends::IoVectors;
using backends::NodeId;
using backends::OpenFile;
using backends::Outcome;

namespace {

size_t Fill(IoVectors destination, const std::string& from) {
  size_t filled = 0;
  for (const iovec& piece : destination) {
    const size_t length = std::min(piece.iov_len, from.size() - filled);
    std::memcpy(piece.iov_base, from.data() + filled, length);
    filled += length;
  }
  return filled;
}

}  // namespace

std::vector<std::string> RecordingFilesystem::TakeCalls() {
  const std::lock_guard lock(mutex_);
  return std::exchange(calls_, {});
}

void RecordingFilesystem::AddCall(std::string call) {
  const std::lock_guard lock(mutex_);
  calls_.push_back(std::move(call));
}

void RecordingFilesystem::CompleteAll() {
  std::vector<std::function<void()>> pending;
  {
    const std::lock_guard lock(mutex_);
    pending = std::exchange(pending_, {});
  }
  std::for_each(pending.rbegin(), pending.rend(), [](const auto& complete) { complete(); });
}

template <typename T>
Outcome<T> RecordingFilesystem::Answer(Call<T> call, ErrnoOr<T> result) {
  switch (manner) {
    case Manner::kAtOnce:
      return result;
    case Manner::kBeforeReturn:
      std::thread([completion = call.Defer(), result]() mutable { completion(result); }).join();
      return backends::kPending;
    case Manner::kLater: {
      const std::lock_guard lock(mutex_);
      pending_.emplace_back([completion = std::make_shared<Completion<T>>(call.Defer()), result]() {
        (*completion)(result);
      });
      return backends::kPending;
    }
    case Manner::kNever: {
      const Completion<T> unused = call.Defer();
      return backends::kPending;
    }
  }
  return Errno(EIO);
}

void RecordingFilesystem::NoteLent(IoVectors iovecs) {
  if (record) lent.assign(iovecs.begin(), iovecs.end());
}

Outcome<Entry> RecordingFilesystem::Lookup(Call<Entry> call, NodeId parent, std::string_view name) {
  if (record) Note(call, "Lookup(%u, %s)", Number(parent), std::string(name));
  return AnswerValue(call, entry);
}

void RecordingFilesystem::Forget(NodeId node, uint64_t count) {
  if (record) AddCall(absl::StrFormat("Forget(%u, %u)", Number(node), count));
}

Outcome<Entry> RecordingFilesystem::Symlink(Call<Entry> call, NodeId parent, std::string_view name,
                                            std::string_view target,
                                            const backends::Creation& creation) {
  if (record) {
    Note(call, "Symlink(%u, %s, %s%s)", Number(parent), std::string(name), std::string(target),
         AlongText(creation));
  }
  return AnswerValue(call, entry);
}

Outcome<Entry> RecordingFilesystem::MakeNode(Call<Entry> call, NodeId parent, std::string_view name,
                                             uint32_t mode, dev_t device,
                                             const backends::Creation& creation) {
  Note(call, "MakeNode(%u, %s, mode=%o, umask=%o, device=%#x%s)", Number(parent), std::string(name),
       mode, creation.umask, device, AlongText(creation));
  return AnswerValue(call, entry);
}

Outcome<Entry> RecordingFilesystem::MakeDirectory(Call<Entry> call, NodeId parent,
                                                  std::string_view name, uint32_t mode,
                                                  const backends::Creation& creation) {
  Note(call, "MakeDirectory(%u, %s, mode=%o, umask=%o%s)", Number(parent), std::string(name), mode,
       creation.umask, AlongText(creation));
  return AnswerValue(call, entry);
}

Outcome<void> RecordingFilesystem::Unlink(Call<void> call, NodeId parent, std::string_view name) {
  Note(call, "Unlink(%u, %s)", Number(parent), std::string(name));
  return AnswerDone(call);
}

Outcome<void> RecordingFilesystem::RemoveDirectory(Call<void> call, NodeId parent,
                                                   std::string_view name) {
  Note(call, "RemoveDirectory(%u, %s)", Number(parent), std::string(name));
  return AnswerDone(call);
}

Outcome<void> RecordingFilesystem::Rename(Call<void> call, NodeId parent, std::string_view name,
                                          NodeId new_parent, std::string_view new_name,
                                          uint32_t flags) {
  Note(call, "Rename(%u, %s, %u, %s, flags=%u)", Number(parent), std::string(name),
       Number(new_parent), std::string(new_name), flags);
  return AnswerDone(call);
}

Outcome<Entry> RecordingFilesystem::Link(Call<Entry> call, NodeId node, NodeId new_parent,
                                         std::string_view new_name) {
  Note(call, "Link(%u, %u, %s)", Number(node), Number(new_parent), std::string(new_name));
  return AnswerValue(call, entry);
}

Outcome<size_t> RecordingFilesystem::ReadLink(Call<size_t> call, NodeId node,
                                              IoVectors destination) {
  Note(call, "ReadLink(%u)", Number(node));
  NoteLent(destination);
  return AnswerValue(call, Fill(destination, content) + boast);
}

Outcome<Attributes> RecordingFilesystem::GetAttributes(Call<Attributes> call, NodeId node,
                                                       std::optional<FileHandle> file) {
  if (record) Note(call, "GetAttributes(%u, %s)", Number(node), HandleText(file));
  return AnswerValue(call, entry.attributes);
}

Outcome<Attributes> RecordingFilesystem::SetAttributes(Call<Attributes> call, NodeId node,
                                                       std::optional<FileHandle> file,
                                                       const backends::AttributeChanges& changes) {
  Note(call, "SetAttributes(%u, %s,%s)", Number(node), HandleText(file), ChangesText(changes));
  return AnswerValue(call, entry.attributes);
}

Outcome<void> RecordingFilesystem::Access(Call<void> call, NodeId node, uint32_t mask) {
  Note(call, "Access(%u, %u)", Number(node), mask);
  return AnswerDone(call);
}

Outcome<struct ::statvfs> RecordingFilesystem::StatFilesystem(Call<struct ::statvfs> call,
                                                              NodeId node) {
  Note(call, "StatFilesystem(%u)", Number(node));
  return AnswerValue(call, statistics);
}

Outcome<OpenFile> RecordingFilesystem::Open(Call<OpenFile> call, NodeId node,
                                            backends::OpenOptions options) {
  Note(call, "Open(%u, %s)", Number(node), OptionsText(options));
  return AnswerValue(call, OpenFile{handle});
}

Outcome<CreatedFile> RecordingFilesystem::Create(Call<CreatedFile> call, NodeId parent,
                                                 std::string_view name, uint32_t mode,
                                                 backends::OpenOptions options,
                                                 const backends::Creation& creation) {
  Note(call, "Create(%u, %s, mode=%o, umask=%o, %s%s)", Number(parent), std::string(name), mode,
       creation.umask, OptionsText(options), AlongText(creation));
  return AnswerValue(call, CreatedFile{entry, handle});
}

Outcome<size_t> RecordingFilesystem::Read(Call<size_t> call, NodeId node, FileHandle file,
                                          uint64_t offset, IoVectors destination) {
  if (record) Note(call, "Read(%u, fh=%u, at=%u)", Number(node), Number(file), offset);
  NoteLent(destination);
  return AnswerValue(call, Fill(destination, content) + boast);
}

Outcome<size_t> RecordingFilesystem::Write(Call<size_t> call, NodeId node, FileHandle file,
                                           uint64_t offset, IoVectors source,
                                           backends::WriteOptions options) {
  if (record) {
    Note(call, "Write(%u, fh=%u, at=%u, writeback=%d, kill=%d, append=%d)", Number(node),
         Number(file), offset, options.writeback, options.kill_suidgid,
         options.append.value_or(false));
  }
  NoteLent(source);
  size_t bytes = 0;
  for (const iovec& piece : source) {
    if (record) written.append(static_cast<const char*>(piece.iov_base), piece.iov_len);
    bytes += piece.iov_len;
  }
  return AnswerValue(call, bytes + boast);
}

Outcome<void> RecordingFilesystem::Flush(Call<void> call, NodeId node, FileHandle file,
                                         uint64_t lock_owner) {
  Note(call, "Flush(%u, fh=%u, owner=%u)", Number(node), Number(file), lock_owner);
  return AnswerDone(call);
}

Outcome<void> RecordingFilesystem::Release(Call<void> call, NodeId node, FileHandle file) {
  Note(call, "Release(%u, fh=%u)", Number(node), Number(file));
  return AnswerDone(call);
}

Outcome<void> RecordingFilesystem::Fsync(Call<void> call, NodeId node, FileHandle file,
                                         bool data_only) {
  Note(call, "Fsync(%u, fh=%u, data_only=%d)", Number(node), Number(file), data_only);
  return AnswerDone(call);
}

Outcome<void> RecordingFilesystem::Fallocate(Call<void> call, NodeId node, FileHandle file,
                                             uint32_t mode, uint64_t offset, uint64_t length) {
  Note(call, "Fallocate(%u, fh=%u, mode=%u, at=%u, length=%u)", Number(node), Number(file), mode,
       offset, length);
  return AnswerDone(call);
}

Outcome<uint64_t> RecordingFilesystem::Seek(Call<uint64_t> call, NodeId node, FileHandle file,
                                            uint64_t offset, uint32_t whence) {
  Note(call, "Seek(%u, fh=%u, at=%u, whence=%u)", Number(node), Number(file), offset, whence);
  return AnswerValue(call, sought);
}

Outcome<CreatedFile> RecordingFilesystem::CreateTemporary(Call<CreatedFile> call, NodeId parent,
                                                          uint32_t mode,
                                                          backends::OpenOptions options,
                                                          const backends::Creation& creation) {
  Note(call, "CreateTemporary(%u, mode=%o, umask=%o, %s%s)", Number(parent), mode, creation.umask,
       OptionsText(options), AlongText(creation));
  return AnswerValue(call, CreatedFile{entry, handle});
}

Outcome<uint64_t> RecordingFilesystem::CopyRange(Call<uint64_t> call, backends::FileRange from,
                                                 backends::FileRange to, uint64_t length,
                                                 uint32_t flags) {
  Note(call, "CopyRange(%u, fh=%u, at=%u, %u, fh=%u, at=%u, length=%u, flags=%u)",
       Number(from.node), Number(from.handle), from.offset, Number(to.node), Number(to.handle),
       to.offset, length, flags);
  return AnswerValue(call, sought);
}

Outcome<size_t> RecordingFilesystem::Ioctl(Call<size_t> call, NodeId node, FileHandle file,
                                           uint32_t command, std::span<const char> input,
                                           IoVectors output) {
  Note(call, "Ioctl(%u, fh=%u, %#x, %s)", Number(node), Number(file), command,
       std::string(input.begin(), input.end()));
  NoteLent(output);
  return AnswerValue(call, Fill(output, content) + boast);
}

Outcome<void> RecordingFilesystem::SyncFilesystem(Call<void> call, NodeId node) {
  Note(call, "SyncFilesystem(%u)", Number(node));
  return AnswerDone(call);
}

Outcome<backends::FileLock> RecordingFilesystem::GetLock(Call<backends::FileLock> call, NodeId node,
                                                         FileHandle file, uint64_t owner,
                                                         const backends::FileLock& asked) {
  Note(call, "GetLock(%u, fh=%u, owner=%u, %s)", Number(node), Number(file), owner,
       LockText(asked));
  return AnswerValue(call, lock);
}

Outcome<void> RecordingFilesystem::SetLock(Call<void> call, NodeId node, FileHandle file,
                                           const backends::FileLock& asked,
                                           backends::LockOptions options) {
  Note(call, "SetLock(%u, fh=%u, owner=%u, %s, flock=%d, wait=%d)", Number(node), Number(file),
       options.owner, LockText(asked), options.flock, options.wait);
  return AnswerDone(call);
}

Outcome<void> RecordingFilesystem::SetXattr(Call<void> call, NodeId node, std::string_view name,
                                            std::span<const char> value, uint32_t flags,
                                            bool kill_sgid) {
  Note(call, "SetXattr(%u, %s, %s, flags=%u, kill_sgid=%d)", Number(node), std::string(name),
       std::string(value.begin(), value.end()), flags, kill_sgid);
  return AnswerDone(call);
}

Outcome<size_t> RecordingFilesystem::AnswerXattr(Call<size_t> call, IoVectors destination) {
  NoteLent(destination);
  size_t room = 0;
  for (const iovec& piece : destination) room += piece.iov_len;
  if (room > 0 && room < content.size()) return Answer<size_t>(call, Errno(ERANGE));
  Fill(destination, content);
  return AnswerValue(call, content.size() + boast);
}

Outcome<size_t> RecordingFilesystem::GetXattr(Call<size_t> call, NodeId node, std::string_view name,
                                              IoVectors destination) {
  Note(call, "GetXattr(%u, %s)", Number(node), std::string(name));
  return AnswerXattr(call, destination);
}

Outcome<size_t> RecordingFilesystem::ListXattr(Call<size_t> call, NodeId node,
                                               IoVectors destination) {
  Note(call, "ListXattr(%u)", Number(node));
  return AnswerXattr(call, destination);
}

Outcome<void> RecordingFilesystem::RemoveXattr(Call<void> call, NodeId node,
                                               std::string_view name) {
  Note(call, "RemoveXattr(%u, %s)", Number(node), std::string(name));
  return AnswerDone(call);
}

Outcome<OpenFile> RecordingFilesystem::OpenDirectory(Call<OpenFile> call, NodeId node,
                                                     uint32_t flags) {
  Note(call, "OpenDirectory(%u, flags=%o)", Number(node), flags);
  return AnswerValue(call, OpenFile{handle});
}

void RecordingFilesystem::List(uint64_t offset, backends::DirectorySink& sink, bool plus) {
  accepted.clear();
  for (size_t i = offset; i < listing.size(); ++i) {
    const Listed& listed = listing[i];
    if (!sink.Fits(listed.name)) return;
    Entry looked_up = entry;
    looked_up.node = NodeId{listed.node};
    sink.Add({.name = listed.name, .ino = 100 + i, .next_offset = i + 1, .type = 8},
             plus && listed.node != 0 ? &looked_up : nullptr);
    accepted.push_back(listed.name);
  }
}

Outcome<void> RecordingFilesystem::ReadDirectory(Call<void> call, NodeId node, FileHandle file,
                                                 uint64_t offset, backends::DirectorySink& sink) {
  Note(call, "ReadDirectory(%u, fh=%u, at=%u)", Number(node), Number(file), offset);
  List(offset, sink, /*plus=*/false);
  return AnswerDone(call);
}

Outcome<void> RecordingFilesystem::ReadDirectoryPlus(Call<void> call, NodeId node, FileHandle file,
                                                     uint64_t offset,
                                                     backends::DirectorySink& sink) {
  Note(call, "ReadDirectoryPlus(%u, fh=%u, at=%u)", Number(node), Number(file), offset);
  List(offset, sink, /*plus=*/true);
  return AnswerDone(call);
}

Outcome<void> RecordingFilesystem::ReleaseDirectory(Call<void> call, NodeId node, FileHandle file) {
  Note(call, "ReleaseDirectory(%u, fh=%u)", Number(node), Number(file));
  return AnswerDone(call);
}

Outcome<void> RecordingFilesystem::FsyncDirectory(Call<void> call, NodeId node, FileHandle file,
                                                  bool data_only) {
  Note(call, "FsyncDirectory(%u, fh=%u, data_only=%d)", Number(node), Number(file), data_only);
  return AnswerDone(call);
}

}  // namespace fsd::fuse
