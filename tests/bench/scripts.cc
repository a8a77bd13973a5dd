#include "tests/bench/scripts.h"

#include <fcntl.h>
#include <linux/fuse.h>
#include <sys/stat.h>

#include <cerrno>
#include <cstring>
#include <initializer_list>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "server/errors/status_macros.h"
#include "tests/bench/tree.h"
#include "tests/harness/fuse_client.h"

namespace fsd::bench {
namespace {

// Where things are in messages, from the header on.
constexpr size_t kNodeOfRequest = offsetof(fuse_in_header, nodeid);
constexpr size_t kHandleOfRelease = sizeof(fuse_in_header) + offsetof(fuse_release_in, fh);
constexpr size_t kHandleOfFlush = sizeof(fuse_in_header) + offsetof(fuse_flush_in, fh);
constexpr size_t kHandleOfRead = sizeof(fuse_in_header) + offsetof(fuse_read_in, fh);
constexpr size_t kHandleOfWrite = sizeof(fuse_in_header) + offsetof(fuse_write_in, fh);
constexpr size_t kOffsetOfRead = sizeof(fuse_in_header) + offsetof(fuse_read_in, offset);
constexpr size_t kOffsetOfWrite = sizeof(fuse_in_header) + offsetof(fuse_write_in, offset);
constexpr size_t kNodeOfEntry = sizeof(fuse_out_header) + offsetof(fuse_entry_out, nodeid);
constexpr size_t kHandleOfOpened = sizeof(fuse_out_header) + offsetof(fuse_open_out, fh);
constexpr size_t kHandleOfCreated = kHandleOfOpened + sizeof(fuse_entry_out);

// --- steps ---

template <typename T>
std::vector<std::byte> With(const T& body, std::initializer_list<std::string_view> names = {}) {
  return harness::Arguments(std::as_bytes(std::span(&body, 1)), names);
}

Step LookUp(uint64_t parent, std::string_view name, int error = 0) {
  return {.opcode = FUSE_LOOKUP,
          .node = parent,
          .arguments = harness::Arguments({}, {name}),
          .reply_bytes = sizeof(fuse_entry_out),
          .error = error,
          .least_reply_bytes = error == 0 ? sizeof(fuse_entry_out) : 0};
}

// Of the node that an earlier step of the lane was answered.
Step ForgetNodeOf(size_t step) {
  return {.opcode = FUSE_FORGET,
          .arguments = With(fuse_forget_in{.nlookup = 1}),
          .forget = true,
          .taken = {{step, kNodeOfEntry, kNodeOfRequest}}};
}

Step GetAttributes(uint64_t node) {
  return {.opcode = FUSE_GETATTR,
          .node = node,
          .arguments = With(fuse_getattr_in{}),
          .reply_bytes = sizeof(fuse_attr_out),
          .least_reply_bytes = sizeof(fuse_attr_out)};
}

Step OpenFile(uint64_t node) {
  return {.opcode = FUSE_OPEN,
          .node = node,
          .arguments = With(fuse_open_in{.flags = O_RDONLY}),
          .reply_bytes = sizeof(fuse_open_out),
          .least_reply_bytes = sizeof(fuse_open_out)};
}

Step CreateFile(uint64_t parent, std::string_view name) {
  const fuse_create_in in{.flags = O_RDWR | O_CREAT | O_EXCL, .mode = S_IFREG | 0644};
  return {.opcode = FUSE_CREATE,
          .node = parent,
          .arguments = With(in, {name}),
          .reply_bytes = sizeof(fuse_entry_out) + sizeof(fuse_open_out),
          .least_reply_bytes = sizeof(fuse_entry_out) + sizeof(fuse_open_out)};
}

Step Release(uint64_t node, std::vector<Taken> taken) {
  return {.opcode = FUSE_RELEASE,
          .node = node,
          .arguments = With(fuse_release_in{}),
          .taken = std::move(taken)};
}

Step Flush(uint64_t node, std::vector<Taken> taken) {
  return {.opcode = FUSE_FLUSH,
          .node = node,
          .arguments = With(fuse_flush_in{}),
          .taken = std::move(taken)};
}

Step Unlink(uint64_t parent, std::string_view name) {
  return {.opcode = FUSE_UNLINK, .node = parent, .arguments = harness::Arguments({}, {name})};
}

Step ReadData(uint64_t node, uint64_t handle, size_t bytes) {
  const fuse_read_in in{.fh = handle, .size = static_cast<uint32_t>(bytes)};
  return {.opcode = FUSE_READ,
          .node = node,
          .arguments = With(in),
          .reply_bytes = bytes,
          .reply_in_pages = true,
          .least_reply_bytes = bytes};
}

Step WriteData(uint64_t node, uint64_t handle, size_t bytes) {
  const fuse_write_in in{.fh = handle, .size = static_cast<uint32_t>(bytes)};
  return {.opcode = FUSE_WRITE,
          .node = node,
          .arguments = With(in),
          .data_bytes = bytes,
          .reply_bytes = sizeof(fuse_write_out),
          .least_reply_bytes = sizeof(fuse_write_out)};
}

Offsets RandomIn(size_t request_offset, size_t block, size_t file_bytes = kFileBytes) {
  return {.order = Offsets::Order::kRandom,
          .request_offset = request_offset,
          .block = block,
          .blocks = file_bytes / block};
}

// Each lane its own part of the file, one block after the other.
Offsets SequentialIn(size_t request_offset, size_t block, size_t lane, size_t lanes) {
  const uint64_t blocks = kFileBytes / block / lanes;
  return {.order = Offsets::Order::kSequential,
          .request_offset = request_offset,
          .first = lane * blocks * block,
          .block = block,
          .blocks = blocks};
}

// --- scripts ---

absl::StatusOr<uint64_t> Names(Session& session) { return session.Lookup(FUSE_ROOT_ID, "names"); }

absl::StatusOr<uint64_t> FileNode(Session& session, size_t lane) {
  FSD_ASSIGN_OR_RETURN(const uint64_t names, Names(session));
  return session.Lookup(names, FileOf(lane));
}

struct OpenedFile {
  uint64_t node = 0;
  uint64_t handle = 0;
};

absl::StatusOr<OpenedFile> OpenForData(Session& session, std::string_view name, size_t bytes) {
  if (bytes > session.max_transfer()) {
    return absl::UnimplementedError(absl::StrCat("at most ", session.max_transfer(), " bytes"));
  }
  FSD_ASSIGN_OR_RETURN(const uint64_t node, session.Lookup(FUSE_ROOT_ID, name));
  FSD_ASSIGN_OR_RETURN(const uint64_t handle, session.Open(node, O_RDWR));
  return OpenedFile{.node = node, .handle = handle};
}

}  // namespace

absl::StatusOr<Script> GetattrScript(Session& session, size_t lane, size_t) {
  FSD_ASSIGN_OR_RETURN(const uint64_t node, FileNode(session, lane));
  return Script{GetAttributes(node)};
}

absl::StatusOr<Script> StatfsScript(Session&, size_t, size_t) {
  return Script{{.opcode = FUSE_STATFS,
                 .node = FUSE_ROOT_ID,
                 .reply_bytes = sizeof(fuse_statfs_out),
                 .least_reply_bytes = sizeof(fuse_statfs_out)}};
}

absl::StatusOr<Script> LookupKnownScript(Session& session, size_t lane, size_t) {
  FSD_ASSIGN_OR_RETURN(const uint64_t names, Names(session));
  FSD_RETURN_IF_ERROR(session.Lookup(names, FileOf(lane)).status());
  return Script{LookUp(names, FileOf(lane))};
}

// Several times, so that FORGETs have that long before anything waits for them.
Script Repeated(const Script& script) {
  constexpr size_t kTimes = 16;
  Script repeated;
  for (size_t i = 0; i < kTimes; ++i) {
    for (Step step : script) {
      for (Taken& taken : step.taken) taken.from_step += i * script.size();
      repeated.push_back(std::move(step));
    }
  }
  return repeated;
}

absl::StatusOr<Script> LookupUnknownScript(Session& session, size_t lane, size_t) {
  FSD_ASSIGN_OR_RETURN(const uint64_t names, Names(session));
  Script script;
  for (size_t other = 0; other < kOthers; ++other) {
    const size_t looked_up = script.size();
    script.push_back(LookUp(names, OtherOf(lane, other)));
    script.push_back(ForgetNodeOf(looked_up));
  }
  return script;
}

absl::StatusOr<Script> LookupAbsentScript(Session& session, size_t lane, size_t) {
  FSD_ASSIGN_OR_RETURN(const uint64_t names, Names(session));
  return Script{LookUp(names, AbsentOf(lane), ENOENT)};
}

absl::StatusOr<Script> OpenScript(Session& session, size_t lane, size_t) {
  FSD_ASSIGN_OR_RETURN(const uint64_t node, FileNode(session, lane));
  return Script{OpenFile(node), Release(node, {{0, kHandleOfOpened, kHandleOfRelease}})};
}

template <size_t kBytes, bool kRandom>
absl::StatusOr<Script> ReadScript(Session& session, size_t lane, size_t lanes) {
  FSD_ASSIGN_OR_RETURN(const OpenedFile file, OpenForData(session, "data", kBytes));
  Step step = ReadData(file.node, file.handle, kBytes);
  step.offsets =
      kRandom ? RandomIn(kOffsetOfRead, kBytes) : SequentialIn(kOffsetOfRead, kBytes, lane, lanes);
  return Script{step};
}

template <size_t kBytes, bool kRandom>
absl::StatusOr<Script> WriteScript(Session& session, size_t lane, size_t lanes) {
  FSD_ASSIGN_OR_RETURN(const OpenedFile file,
                       OpenForData(session, kRandom ? PartName(PartOf(lane)) : "written", kBytes));
  Step step = WriteData(file.node, file.handle, kBytes);
  step.offsets = kRandom ? RandomIn(kOffsetOfWrite, kBytes, kPartBytes)
                         : SequentialIn(kOffsetOfWrite, kBytes, lane, lanes);
  return Script{step};
}

absl::StatusOr<Script> CreateScript(Session& session, size_t lane, size_t) {
  FSD_ASSIGN_OR_RETURN(const uint64_t names, Names(session));
  return Repeated(
      {CreateFile(names, NewOf(lane)),
       Release(0, {{0, kNodeOfEntry, kNodeOfRequest}, {0, kHandleOfCreated, kHandleOfRelease}}),
       Unlink(names, NewOf(lane)), ForgetNodeOf(0)});
}

absl::StatusOr<Script> MakeDirectoryScript(Session& session, size_t lane, size_t) {
  FSD_ASSIGN_OR_RETURN(const uint64_t names, Names(session));
  return Repeated(
      {{.opcode = FUSE_MKDIR,
        .node = names,
        .arguments = With(fuse_mkdir_in{.mode = 0755}, {NewOf(lane)}),
        .reply_bytes = sizeof(fuse_entry_out),
        .least_reply_bytes = sizeof(fuse_entry_out)},
       {.opcode = FUSE_RMDIR, .node = names, .arguments = harness::Arguments({}, {NewOf(lane)})},
       ForgetNodeOf(0)});
}

absl::StatusOr<Script> RenameScript(Session& session, size_t lane, size_t) {
  FSD_ASSIGN_OR_RETURN(const uint64_t names, Names(session));
  FSD_RETURN_IF_ERROR(session.Lookup(names, MovedOf(lane)).status());
  const auto rename = [&](const std::string& from, const std::string& to) {
    return Step{.opcode = FUSE_RENAME,
                .node = names,
                .arguments = With(fuse_rename_in{.newdir = names}, {from, to})};
  };
  return Script{rename(MovedOf(lane), RenamedOf(lane)), rename(RenamedOf(lane), MovedOf(lane))};
}

// One pass over the directory, in the requests that it takes; each goes where the one before it
// ended, which a pass beforehand has found.
absl::StatusOr<Script> ListScript(Session& session, size_t, size_t) {
  FSD_ASSIGN_OR_RETURN(const uint64_t node, session.Lookup(FUSE_ROOT_ID, "entries"));
  FSD_ASSIGN_OR_RETURN(const uint64_t handle, session.OpenDirectory(node));
  Script script;
  uint64_t offset = 0;
  while (true) {
    FSD_ASSIGN_OR_RETURN(const harness::FuseReply reply,
                         session.fuse().ReadDirectoryPlus(node, handle, offset, kListingBytes));
    if (reply.error != 0) return ErrnoStatus(Errno(reply.error), "READDIRPLUS");
    if (reply.body.empty()) break;
    const fuse_read_in in{.fh = handle, .offset = offset, .size = kListingBytes};
    script.push_back({.opcode = FUSE_READDIRPLUS,
                      .node = node,
                      .arguments = With(in),
                      .reply_bytes = kListingBytes,
                      .reply_in_pages = true,
                      .least_reply_bytes = reply.body.size()});
    fuse_direntplus entry;
    for (size_t at = 0; at + sizeof entry <= reply.body.size();
         at += FUSE_DIRENT_ALIGN(FUSE_NAME_OFFSET_DIRENTPLUS + entry.dirent.namelen)) {
      std::memcpy(&entry, reply.body.data() + at, sizeof entry);
      offset = entry.dirent.off;
    }
  }
  return script;
}

absl::StatusOr<Script> XattrScript(Session& session, size_t lane, size_t) {
  FSD_ASSIGN_OR_RETURN(const uint64_t node, FileNode(session, lane));
  // As long as SETXATTR_EXT has not been agreed on: size and flags.
  const uint32_t set[2] = {sizeof kXattrValue - 1, 0};
  static_assert(sizeof set == FUSE_COMPAT_SETXATTR_IN_SIZE);
  Step setting{.opcode = FUSE_SETXATTR, .node = node, .arguments = With(set, {kXattr})};
  const auto value = std::as_bytes(std::span(kXattrValue, sizeof kXattrValue - 1));
  setting.arguments.insert(setting.arguments.end(), value.begin(), value.end());
  return Script{setting,
                {.opcode = FUSE_GETXATTR,
                 .node = node,
                 .arguments = With(fuse_getxattr_in{.size = 256}, {kXattr}),
                 .reply_bytes = 256,
                 .least_reply_bytes = sizeof kXattrValue - 1}};
}

// What a compiler's run asks a server whose guest caches little: many names that are there, many
// that are not, attributes, some files read, one made and removed.
absl::StatusOr<Script> CompileScript(Session& session, size_t lane, size_t) {
  FSD_ASSIGN_OR_RETURN(const uint64_t names, Names(session));
  FSD_ASSIGN_OR_RETURN(const uint64_t node, FileNode(session, lane));
  Script script;
  for (int i = 0; i < 2; ++i) {
    for (int j = 0; j < 5; ++j) script.push_back(LookUp(names, FileOf(lane)));
    for (int j = 0; j < 4; ++j) script.push_back(LookUp(names, AbsentOf(lane), ENOENT));
    for (int j = 0; j < 6; ++j) script.push_back(GetAttributes(node));
    const size_t opened = script.size();
    script.push_back(OpenFile(node));
    Step read = ReadData(node, 0, 4 * kKiB);
    read.taken = {{opened, kHandleOfOpened, kHandleOfRead}};
    script.push_back(read);
    script.push_back(Flush(node, {{opened, kHandleOfOpened, kHandleOfFlush}}));
    script.push_back(Release(node, {{opened, kHandleOfOpened, kHandleOfRelease}}));
  }
  const size_t made = script.size();
  script.push_back(CreateFile(names, NewOf(lane)));
  const Taken its_node{made, kNodeOfEntry, kNodeOfRequest};
  Step write = WriteData(0, 0, 4 * kKiB);
  write.taken = {its_node, {made, kHandleOfCreated, kHandleOfWrite}};
  script.push_back(write);
  script.push_back(Flush(0, {its_node, {made, kHandleOfCreated, kHandleOfFlush}}));
  script.push_back(Release(0, {its_node, {made, kHandleOfCreated, kHandleOfRelease}}));
  script.push_back(Unlink(names, NewOf(lane)));
  script.push_back(ForgetNodeOf(made));
  return script;
}

// Pages read and written at random, and a commit now and then.
absl::StatusOr<Script> DatabaseScript(Session& session, size_t, size_t) {
  FSD_ASSIGN_OR_RETURN(const OpenedFile file, OpenForData(session, "written", 4 * kKiB));
  Script script;
  for (int i = 0; i < 24; ++i) {
    const bool writes = i % 3 == 2;
    script.push_back(writes ? WriteData(file.node, file.handle, 4 * kKiB)
                            : ReadData(file.node, file.handle, 4 * kKiB));
    script.back().offsets = RandomIn(writes ? kOffsetOfWrite : kOffsetOfRead, 4 * kKiB);
  }
  const fuse_fsync_in in{.fh = file.handle, .fsync_flags = FUSE_FSYNC_FDATASYNC};
  script.push_back({.opcode = FUSE_FSYNC, .node = file.node, .arguments = With(in)});
  return script;
}

template absl::StatusOr<Script> ReadScript<4 * kKiB, true>(Session&, size_t, size_t);
template absl::StatusOr<Script> ReadScript<128 * kKiB, false>(Session&, size_t, size_t);
template absl::StatusOr<Script> ReadScript<kMiB, false>(Session&, size_t, size_t);
template absl::StatusOr<Script> WriteScript<4 * kKiB, true>(Session&, size_t, size_t);
template absl::StatusOr<Script> WriteScript<128 * kKiB, false>(Session&, size_t, size_t);
template absl::StatusOr<Script> WriteScript<kMiB, false>(Session&, size_t, size_t);

}  // namespace fsd::bench
