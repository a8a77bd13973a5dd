#include "backends/late_filesystem.h"

#include <utility>

namespace fsd::backends {
namespace {

// A call of the wrapped file system. It keeps itself until it is completed.
template <typename T>
struct LateCall : CallState {
  explicit LateCall(Call<T> call)
      : CallState{call.caller(), call.unique()}, completion(call.Defer()) {}

  static void Resume(CallState& state, ErrnoOr<T>&& result) {
    auto& late = static_cast<LateCall&>(state);
    const std::shared_ptr<LateCall> last = std::move(late.self);
    late.completion(std::move(result));
  }

  Completion<T> completion;
  std::shared_ptr<LateCall> self;
};

}  // namespace

LateFilesystem::LateFilesystem(Filesystem& filesystem, uint32_t seed)
    : filesystem_(filesystem), random_(seed), thread_([this] { Run(); }) {}

LateFilesystem::~LateFilesystem() {
  {
    os::MutexLock lock(mutex_);
    stopping_ = true;
  }
  queued_.NotifyAll();
  thread_.join();
}

template <typename T, typename Operation>
Outcome<T> LateFilesystem::Later(Call<T> call, Operation operation) {
  // std::function wants copies; a Completion has none.
  auto late = std::make_shared<LateCall<T>>(call);
  {
    os::MutexLock lock(mutex_);
    pending_.push_back([late, operation] {
      late->self = late;
      Outcome<T> outcome = operation(Call<T>(*late, &LateCall<T>::Resume));
      if (!outcome.pending()) LateCall<T>::Resume(*late, std::move(outcome).result());
    });
  }
  queued_.NotifyOne();
  return kPending;
}

void LateFilesystem::Run() {
  mutex_.lock();
  while (true) {
    while (pending_.empty() && !stopping_) queued_.Wait(mutex_);
    if (pending_.empty()) break;
    const size_t chosen = random_() % pending_.size();
    std::function<void()> next = std::move(pending_[chosen]);
    pending_.erase(pending_.begin() + static_cast<std::ptrdiff_t>(chosen));
    mutex_.unlock();
    next();
    mutex_.lock();
  }
  mutex_.unlock();
}

Outcome<Entry> LateFilesystem::Lookup(Call<Entry> call, NodeId parent, std::string_view name) {
  return Later(call, [=, this](auto inner) { return filesystem_.Lookup(inner, parent, name); });
}

Outcome<Entry> LateFilesystem::Symlink(Call<Entry> call, NodeId parent, std::string_view name,
                                       std::string_view target, const Creation& creation) {
  return Later(call, [=, this](auto inner) {
    return filesystem_.Symlink(inner, parent, name, target, creation);
  });
}

Outcome<Entry> LateFilesystem::MakeNode(Call<Entry> call, NodeId parent, std::string_view name,
                                        uint32_t mode, dev_t device, const Creation& creation) {
  return Later(call, [=, this](auto inner) {
    return filesystem_.MakeNode(inner, parent, name, mode, device, creation);
  });
}

Outcome<Entry> LateFilesystem::MakeDirectory(Call<Entry> call, NodeId parent, std::string_view name,
                                             uint32_t mode, const Creation& creation) {
  return Later(call, [=, this](auto inner) {
    return filesystem_.MakeDirectory(inner, parent, name, mode, creation);
  });
}

Outcome<void> LateFilesystem::Unlink(Call<void> call, NodeId parent, std::string_view name) {
  return Later(call, [=, this](auto inner) { return filesystem_.Unlink(inner, parent, name); });
}

Outcome<void> LateFilesystem::RemoveDirectory(Call<void> call, NodeId parent,
                                              std::string_view name) {
  return Later(call,
               [=, this](auto inner) { return filesystem_.RemoveDirectory(inner, parent, name); });
}

Outcome<void> LateFilesystem::Rename(Call<void> call, NodeId parent, std::string_view name,
                                     NodeId new_parent, std::string_view new_name, uint32_t flags) {
  return Later(call, [=, this](auto inner) {
    return filesystem_.Rename(inner, parent, name, new_parent, new_name, flags);
  });
}

Outcome<Entry> LateFilesystem::Link(Call<Entry> call, NodeId node, NodeId new_parent,
                                    std::string_view new_name) {
  return Later(
      call, [=, this](auto inner) { return filesystem_.Link(inner, node, new_parent, new_name); });
}

Outcome<size_t> LateFilesystem::ReadLink(Call<size_t> call, NodeId node, IoVectors destination) {
  return Later(call,
               [=, this](auto inner) { return filesystem_.ReadLink(inner, node, destination); });
}

Outcome<Attributes> LateFilesystem::GetAttributes(Call<Attributes> call, NodeId node,
                                                  std::optional<FileHandle> handle) {
  return Later(call,
               [=, this](auto inner) { return filesystem_.GetAttributes(inner, node, handle); });
}

Outcome<Attributes> LateFilesystem::SetAttributes(Call<Attributes> call, NodeId node,
                                                  std::optional<FileHandle> handle,
                                                  const AttributeChanges& changes) {
  return Later(call, [this, node, handle, changes](auto inner) {
    return filesystem_.SetAttributes(inner, node, handle, changes);
  });
}

Outcome<void> LateFilesystem::Access(Call<void> call, NodeId node, uint32_t mask) {
  return Later(call, [=, this](auto inner) { return filesystem_.Access(inner, node, mask); });
}

Outcome<struct ::statvfs> LateFilesystem::StatFilesystem(Call<struct ::statvfs> call, NodeId node) {
  return Later(call, [=, this](auto inner) { return filesystem_.StatFilesystem(inner, node); });
}

Outcome<OpenFile> LateFilesystem::Open(Call<OpenFile> call, NodeId node, OpenOptions options) {
  return Later(call, [=, this](auto inner) { return filesystem_.Open(inner, node, options); });
}

Outcome<CreatedFile> LateFilesystem::Create(Call<CreatedFile> call, NodeId parent,
                                            std::string_view name, uint32_t mode,
                                            OpenOptions options, const Creation& creation) {
  return Later(call, [=, this](auto inner) {
    return filesystem_.Create(inner, parent, name, mode, options, creation);
  });
}

Outcome<CreatedFile> LateFilesystem::CreateTemporary(Call<CreatedFile> call, NodeId parent,
                                                     uint32_t mode, OpenOptions options,
                                                     const Creation& creation) {
  return Later(call, [=, this](auto inner) {
    return filesystem_.CreateTemporary(inner, parent, mode, options, creation);
  });
}

Outcome<size_t> LateFilesystem::Read(Call<size_t> call, NodeId node, FileHandle handle,
                                     uint64_t offset, IoVectors destination) {
  return Later(call, [=, this](auto inner) {
    return filesystem_.Read(inner, node, handle, offset, destination);
  });
}

Outcome<size_t> LateFilesystem::Write(Call<size_t> call, NodeId node, FileHandle handle,
                                      uint64_t offset, IoVectors source, WriteOptions options) {
  return Later(call, [=, this](auto inner) {
    return filesystem_.Write(inner, node, handle, offset, source, options);
  });
}

Outcome<void> LateFilesystem::Flush(Call<void> call, NodeId node, FileHandle handle,
                                    uint64_t lock_owner) {
  return Later(
      call, [=, this](auto inner) { return filesystem_.Flush(inner, node, handle, lock_owner); });
}

Outcome<void> LateFilesystem::Release(Call<void> call, NodeId node, FileHandle handle) {
  return Later(call, [=, this](auto inner) { return filesystem_.Release(inner, node, handle); });
}

Outcome<void> LateFilesystem::Fsync(Call<void> call, NodeId node, FileHandle handle,
                                    bool data_only) {
  return Later(call,
               [=, this](auto inner) { return filesystem_.Fsync(inner, node, handle, data_only); });
}

Outcome<void> LateFilesystem::Fallocate(Call<void> call, NodeId node, FileHandle handle,
                                        uint32_t mode, uint64_t offset, uint64_t length) {
  return Later(call, [=, this](auto inner) {
    return filesystem_.Fallocate(inner, node, handle, mode, offset, length);
  });
}

Outcome<uint64_t> LateFilesystem::Seek(Call<uint64_t> call, NodeId node, FileHandle handle,
                                       uint64_t offset, uint32_t whence) {
  return Later(call, [=, this](auto inner) {
    return filesystem_.Seek(inner, node, handle, offset, whence);
  });
}

Outcome<uint64_t> LateFilesystem::CopyRange(Call<uint64_t> call, FileRange from, FileRange to,
                                            uint64_t length, uint32_t flags) {
  return Later(call, [=, this](auto inner) {
    return filesystem_.CopyRange(inner, from, to, length, flags);
  });
}

Outcome<size_t> LateFilesystem::Ioctl(Call<size_t> call, NodeId node, FileHandle handle,
                                      uint32_t command, std::span<const char> input,
                                      IoVectors output) {
  return Later(call, [=, this](auto inner) {
    return filesystem_.Ioctl(inner, node, handle, command, input, output);
  });
}

Outcome<void> LateFilesystem::SyncFilesystem(Call<void> call, NodeId node) {
  return Later(call, [=, this](auto inner) { return filesystem_.SyncFilesystem(inner, node); });
}

Outcome<FileLock> LateFilesystem::GetLock(Call<FileLock> call, NodeId node, FileHandle handle,
                                          uint64_t owner, const FileLock& lock) {
  return Later(call, [=, this](auto inner) {
    return filesystem_.GetLock(inner, node, handle, owner, lock);
  });
}

Outcome<void> LateFilesystem::SetLock(Call<void> call, NodeId node, FileHandle handle,
                                      const FileLock& lock, LockOptions options) {
  return Later(call, [=, this](auto inner) {
    return filesystem_.SetLock(inner, node, handle, lock, options);
  });
}

Outcome<void> LateFilesystem::SetXattr(Call<void> call, NodeId node, std::string_view name,
                                       std::span<const char> value, uint32_t flags,
                                       bool kill_sgid) {
  return Later(call, [=, this](auto inner) {
    return filesystem_.SetXattr(inner, node, name, value, flags, kill_sgid);
  });
}

Outcome<size_t> LateFilesystem::GetXattr(Call<size_t> call, NodeId node, std::string_view name,
                                         IoVectors destination) {
  return Later(
      call, [=, this](auto inner) { return filesystem_.GetXattr(inner, node, name, destination); });
}

Outcome<size_t> LateFilesystem::ListXattr(Call<size_t> call, NodeId node, IoVectors destination) {
  return Later(call,
               [=, this](auto inner) { return filesystem_.ListXattr(inner, node, destination); });
}

Outcome<void> LateFilesystem::RemoveXattr(Call<void> call, NodeId node, std::string_view name) {
  return Later(call, [=, this](auto inner) { return filesystem_.RemoveXattr(inner, node, name); });
}

Outcome<OpenFile> LateFilesystem::OpenDirectory(Call<OpenFile> call, NodeId node, uint32_t flags) {
  return Later(call,
               [=, this](auto inner) { return filesystem_.OpenDirectory(inner, node, flags); });
}

Outcome<void> LateFilesystem::ReadDirectory(Call<void> call, NodeId node, FileHandle handle,
                                            uint64_t offset, DirectorySink& sink) {
  return Later(call, [=, this, &sink](auto inner) {
    return filesystem_.ReadDirectory(inner, node, handle, offset, sink);
  });
}

Outcome<void> LateFilesystem::ReadDirectoryPlus(Call<void> call, NodeId node, FileHandle handle,
                                                uint64_t offset, DirectorySink& sink) {
  return Later(call, [=, this, &sink](auto inner) {
    return filesystem_.ReadDirectoryPlus(inner, node, handle, offset, sink);
  });
}

Outcome<void> LateFilesystem::ReleaseDirectory(Call<void> call, NodeId node, FileHandle handle) {
  return Later(call,
               [=, this](auto inner) { return filesystem_.ReleaseDirectory(inner, node, handle); });
}

Outcome<void> LateFilesystem::FsyncDirectory(Call<void> call, NodeId node, FileHandle handle,
                                             bool data_only) {
  return Later(call, [=, this](auto inner) {
    return filesystem_.FsyncDirectory(inner, node, handle, data_only);
  });
}

}  // namespace fsd::backends
