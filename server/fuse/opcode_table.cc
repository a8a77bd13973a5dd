#include "server/fuse/opcode_table.h"

#include <array>

#include "server/fuse/abi.h"
#include "server/fuse/attr_handlers.h"
#include "server/fuse/dir_handlers.h"
#include "server/fuse/file_handlers.h"
#include "server/fuse/ioctl_handlers.h"
#include "server/fuse/lock_handlers.h"
#include "server/fuse/name_handlers.h"
#include "server/fuse/range_handlers.h"
#include "server/fuse/session_handlers.h"
#include "server/fuse/xattr_handlers.h"

namespace fsd::fuse {
namespace {

constexpr uint16_t kEntryOut = sizeof(fuse_entry_out);
constexpr uint16_t kAttrOut = sizeof(fuse_attr_out);
constexpr uint16_t kOpenOut = sizeof(fuse_open_out);

using Table = std::array<OpcodeRow, kOpcodeCopyFileRange64 + 1>;

// may_block is for what waits for the disk by its nature (FSYNC, FSYNCDIR, SYNCFS), may have to
// allocate, zero or copy gigabytes (FALLOCATE, COPY_FILE_RANGE), or closes a session's files (INIT,
// DESTROY). What is usually quick but can hang on a sick disk or server - FLUSH, RELEASE, STATFS,
// LOOKUP, ... - is not: a hand-over would cost each of the many good ones, and a queue thread that
// is stuck is relieved anyway.
constexpr void DescribeNames(Table& table) {
  table[FUSE_LOOKUP] = {
      .name = "LOOKUP", .handler = HandleLookup, .body = Body::kNames, .reply_bytes = kEntryOut};
  table[FUSE_FORGET] = {.name = "FORGET",
                        .handler = HandleForget,
                        .argument_bytes = sizeof(fuse_forget_in),
                        .has_reply = false};
  table[FUSE_BATCH_FORGET] = {.name = "BATCH_FORGET",
                              .handler = HandleBatchForget,
                              .body = Body::kPayload,
                              .argument_bytes = sizeof(fuse_batch_forget_in),
                              .has_reply = false};
  table[FUSE_READLINK] = {.name = "READLINK", .handler = HandleReadLink};
  table[FUSE_SYMLINK] = {.name = "SYMLINK",
                         .handler = HandleSymlink,
                         .body = Body::kCreation,
                         .reply_bytes = kEntryOut,
                         .mutates = true};
  table[FUSE_MKNOD] = {.name = "MKNOD",
                       .handler = HandleMakeNode,
                       .body = Body::kCreation,
                       .argument_bytes = sizeof(fuse_mknod_in),
                       .reply_bytes = kEntryOut,
                       .mutates = true};
  table[FUSE_MKDIR] = {.name = "MKDIR",
                       .handler = HandleMakeDirectory,
                       .body = Body::kCreation,
                       .argument_bytes = sizeof(fuse_mkdir_in),
                       .reply_bytes = kEntryOut,
                       .mutates = true};
  table[FUSE_UNLINK] = {
      .name = "UNLINK", .handler = HandleUnlink, .body = Body::kNames, .mutates = true};
  table[FUSE_RMDIR] = {
      .name = "RMDIR", .handler = HandleRemoveDirectory, .body = Body::kNames, .mutates = true};
  table[FUSE_RENAME] = {.name = "RENAME",
                        .handler = HandleRename,
                        .body = Body::kNames,
                        .argument_bytes = sizeof(fuse_rename_in),
                        .mutates = true};
  table[FUSE_RENAME2] = {.name = "RENAME2",
                         .handler = HandleRename2,
                         .body = Body::kNames,
                         .argument_bytes = sizeof(fuse_rename2_in),
                         .mutates = true};
  table[FUSE_LINK] = {.name = "LINK",
                      .handler = HandleLink,
                      .body = Body::kNames,
                      .argument_bytes = sizeof(fuse_link_in),
                      .reply_bytes = kEntryOut,
                      .mutates = true};
}

constexpr void DescribeAttributes(Table& table) {
  table[FUSE_GETATTR] = {.name = "GETATTR",
                         .handler = HandleGetAttributes,
                         .argument_bytes = sizeof(fuse_getattr_in),
                         .reply_bytes = kAttrOut};
  table[kOpcodeStatx] = {.name = "STATX",
                         .handler = HandleStatx,
                         .argument_bytes = sizeof(StatxIn),
                         .reply_bytes = sizeof(StatxOut)};
  table[FUSE_SETATTR] = {.name = "SETATTR",
                         .handler = HandleSetAttributes,
                         .argument_bytes = sizeof(fuse_setattr_in),
                         .reply_bytes = kAttrOut,
                         .mutates = true};
  table[FUSE_ACCESS] = {
      .name = "ACCESS", .handler = HandleAccess, .argument_bytes = sizeof(fuse_access_in)};
  table[FUSE_STATFS] = {
      .name = "STATFS", .handler = HandleStatFilesystem, .reply_bytes = sizeof(fuse_statfs_out)};
  table[FUSE_SYNCFS] = {.name = "SYNCFS",
                        .handler = HandleSyncFilesystem,
                        .argument_bytes = sizeof(fuse_syncfs_in),
                        .may_block = true};
}

constexpr void DescribeFiles(Table& table) {
  table[FUSE_OPEN] = {.name = "OPEN",
                      .handler = HandleOpen,
                      .argument_bytes = sizeof(fuse_open_in),
                      .reply_bytes = kOpenOut};
  table[FUSE_CREATE] = {.name = "CREATE",
                        .handler = HandleCreate,
                        .body = Body::kCreation,
                        .argument_bytes = sizeof(fuse_create_in),
                        .reply_bytes = kEntryOut + kOpenOut,
                        .mutates = true};
  table[FUSE_TMPFILE] = {.name = "TMPFILE",
                         .handler = HandleCreateTemporary,
                         .body = Body::kCreation,
                         .argument_bytes = sizeof(fuse_create_in),
                         .reply_bytes = kEntryOut + kOpenOut,
                         .mutates = true};
  table[FUSE_READ] = {
      .name = "READ", .handler = HandleRead, .argument_bytes = sizeof(fuse_read_in)};
  table[FUSE_WRITE] = {.name = "WRITE",
                       .handler = HandleWrite,
                       .body = Body::kPayload,
                       .argument_bytes = sizeof(fuse_write_in),
                       .reply_bytes = sizeof(fuse_write_out),
                       .mutates = true};
  table[FUSE_FLUSH] = {
      .name = "FLUSH", .handler = HandleFlush, .argument_bytes = sizeof(fuse_flush_in)};
  table[FUSE_RELEASE] = {
      .name = "RELEASE", .handler = HandleRelease, .argument_bytes = sizeof(fuse_release_in)};
  table[FUSE_FSYNC] = {.name = "FSYNC",
                       .handler = HandleFsync,
                       .argument_bytes = sizeof(fuse_fsync_in),
                       .may_block = true};
  table[FUSE_IOCTL] = {.name = "IOCTL",
                       .handler = HandleIoctl,
                       .body = Body::kIoctl,
                       .argument_bytes = sizeof(fuse_ioctl_in),
                       .reply_bytes = sizeof(fuse_ioctl_out)};
}

constexpr void DescribeRanges(Table& table) {
  table[FUSE_FALLOCATE] = {.name = "FALLOCATE",
                           .handler = HandleFallocate,
                           .argument_bytes = sizeof(fuse_fallocate_in),
                           .mutates = true,
                           .may_block = true};
  table[FUSE_LSEEK] = {.name = "LSEEK",
                       .handler = HandleSeek,
                       .argument_bytes = sizeof(fuse_lseek_in),
                       .reply_bytes = sizeof(fuse_lseek_out)};
  table[FUSE_COPY_FILE_RANGE] = {.name = "COPY_FILE_RANGE",
                                 .handler = HandleCopyFileRange,
                                 .argument_bytes = sizeof(fuse_copy_file_range_in),
                                 .reply_bytes = sizeof(fuse_write_out),
                                 .mutates = true,
                                 .may_block = true};
  table[kOpcodeCopyFileRange64] = {.name = "COPY_FILE_RANGE_64",
                                   .handler = HandleCopyFileRange64,
                                   .argument_bytes = sizeof(fuse_copy_file_range_in),
                                   .reply_bytes = sizeof(CopyFileRangeOut),
                                   .mutates = true,
                                   .may_block = true};
}

// SETLKW does not block here: it is pending in the filesystem.
constexpr void DescribeLocks(Table& table) {
  table[FUSE_GETLK] = {.name = "GETLK",
                       .handler = HandleGetLock,
                       .service = Service::kLocks,
                       .argument_bytes = sizeof(fuse_lk_in),
                       .reply_bytes = sizeof(fuse_lk_out)};
  table[FUSE_SETLK] = {.name = "SETLK",
                       .handler = HandleSetLock,
                       .service = Service::kLocks,
                       .argument_bytes = sizeof(fuse_lk_in)};
  table[FUSE_SETLKW] = {.name = "SETLKW",
                        .handler = HandleSetLockWait,
                        .service = Service::kLocks,
                        .argument_bytes = sizeof(fuse_lk_in)};
}

constexpr void DescribeXattrs(Table& table) {
  table[FUSE_SETXATTR] = {.name = "SETXATTR",
                          .handler = HandleSetXattr,
                          .body = Body::kXattr,
                          .service = Service::kXattr,
                          .argument_bytes = kShortSetxattrInBytes,
                          .mutates = true};
  table[FUSE_GETXATTR] = {.name = "GETXATTR",
                          .handler = HandleGetXattr,
                          .body = Body::kNames,
                          .service = Service::kXattr,
                          .argument_bytes = sizeof(fuse_getxattr_in)};
  table[FUSE_LISTXATTR] = {.name = "LISTXATTR",
                           .handler = HandleListXattr,
                           .service = Service::kXattr,
                           .argument_bytes = sizeof(fuse_getxattr_in)};
  table[FUSE_REMOVEXATTR] = {.name = "REMOVEXATTR",
                             .handler = HandleRemoveXattr,
                             .body = Body::kNames,
                             .service = Service::kXattr,
                             .mutates = true};
}

constexpr void DescribeDirectories(Table& table) {
  table[FUSE_OPENDIR] = {.name = "OPENDIR",
                         .handler = HandleOpenDirectory,
                         .argument_bytes = sizeof(fuse_open_in),
                         .reply_bytes = kOpenOut};
  table[FUSE_READDIR] = {
      .name = "READDIR", .handler = HandleReadDirectory, .argument_bytes = sizeof(fuse_read_in)};
  table[FUSE_READDIRPLUS] = {.name = "READDIRPLUS",
                             .handler = HandleReadDirectoryPlus,
                             .argument_bytes = sizeof(fuse_read_in)};
  table[FUSE_RELEASEDIR] = {.name = "RELEASEDIR",
                            .handler = HandleReleaseDirectory,
                            .argument_bytes = sizeof(fuse_release_in)};
  table[FUSE_FSYNCDIR] = {.name = "FSYNCDIR",
                          .handler = HandleFsyncDirectory,
                          .argument_bytes = sizeof(fuse_fsync_in),
                          .may_block = true};
}

constexpr void DescribeSession(Table& table) {
  table[FUSE_INIT] = {.name = "INIT",
                      .handler = HandleInit,
                      .argument_bytes = kShortInitInBytes,
                      .reply_bytes = sizeof(fuse_init_out),
                      .may_block = true,
                      .before_init = true};
  table[FUSE_DESTROY] = {.name = "DESTROY", .handler = HandleDestroy, .may_block = true};
  table[FUSE_INTERRUPT] = {.name = "INTERRUPT",
                           .handler = HandleInterrupt,
                           .argument_bytes = sizeof(fuse_interrupt_in),
                           .has_reply = false};
}

constexpr void DescribeUnserved(Table& table) {
  table[FUSE_BMAP] = {.name = "BMAP"};
  table[FUSE_POLL] = {.name = "POLL"};
  table[FUSE_NOTIFY_REPLY] = {.name = "NOTIFY_REPLY", .has_reply = false};
  table[FUSE_SETUPMAPPING] = {.name = "SETUPMAPPING"};
  table[FUSE_REMOVEMAPPING] = {.name = "REMOVEMAPPING"};
}

constexpr Table MakeTable() {
  Table table{};
  DescribeNames(table);
  DescribeAttributes(table);
  DescribeFiles(table);
  DescribeRanges(table);
  DescribeLocks(table);
  DescribeXattrs(table);
  DescribeDirectories(table);
  DescribeSession(table);
  DescribeUnserved(table);
  return table;
}

constexpr Table kTable = MakeTable();

}  // namespace

const OpcodeRow* FindOpcode(uint32_t opcode) {
  if (opcode >= kTable.size() || kTable[opcode].name == nullptr) return nullptr;
  return &kTable[opcode];
}

}  // namespace fsd::fuse
