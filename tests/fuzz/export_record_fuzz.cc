// Bytes from a disk that rots and from a worker that was taken: export records, and the private
// channel between supervisor and worker.
//
// The input's first byte says what the rest is: a record's file, a record's payload (which gets a
// header that is right), or datagrams (u16 length, bytes; with or without a descriptor).
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "google/protobuf/stubs/logging.h"
#include "proto/fsd/internal/export_spec.pb.h"
#include "server/errors/check.h"
#include "server/ipc/worker_channel.h"
#include "server/os/unix_socket.h"
#include "server/supervisor/config.h"
#include "server/supervisor/export_difference.h"
#include "server/supervisor/export_spec.h"
#include "server/supervisor/record_format.h"
#include "server/worker/session_options.h"
#include "tests/fuzz/open_fds.h"

namespace {

using fsd::internal::ExportRecord;

// What is done with a record that has been read: made complete, told to a worker.
void Use(const ExportRecord& record) {
  fsd::supervisor::Config config;
  config.allow_source = {"/"};
  config.allow_socket = {"/"};
  fsd::internal::ExportSpec spec = record.spec();
  if (fsd::supervisor::CompleteExportSpec(config, spec).ok()) {
    fsd::internal::ExportSpec again = spec;
    FSD_CHECK(fsd::supervisor::CompleteExportSpec(config, again).ok());
    FSD_CHECK(fsd::supervisor::FirstDifference(spec, again).empty());
  }
  (void)fsd::worker::SessionOptionsOf(record.spec());
}

void Record(std::string_view bytes) {
  const absl::StatusOr<ExportRecord> record = fsd::supervisor::DecodeRecord(bytes);
  if (!record.ok()) return;
  const auto again = fsd::supervisor::DecodeRecord(fsd::supervisor::EncodeRecord(*record));
  FSD_CHECK(again.ok());
  FSD_CHECK(again->SerializeAsString() == record->SerializeAsString());
  Use(*record);
}

void Payload(std::string_view bytes) {
  ExportRecord record;
  if (!record.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) return;
  record.set_version(fsd::supervisor::kExportRecordVersion);
  Record(fsd::supervisor::EncodeRecord(record));
}

void Channel(std::string_view bytes, bool to_worker) {
  const fsd::fuzz::NoFdLeak no_leak;
  auto pair = fsd::os::UnixSocketPair(fsd::os::SocketType::kSeqPacket);
  FSD_CHECK(pair.ok());
  fsd::ipc::WorkerChannel channel(std::move(pair->second));
  while (bytes.size() >= 2) {
    uint16_t length;
    std::memcpy(&length, bytes.data(), sizeof length);
    bytes.remove_prefix(sizeof length);
    const std::string_view datagram = bytes.substr(0, length & 0x3fff);
    bytes.remove_prefix(datagram.size());
    const int fd = pair->first.get();
    const std::span<const int> fds(&fd, (length & 0x8000) != 0 ? 1 : 0);
    if (!fsd::os::SendWithFds(fd, std::as_bytes(std::span(datagram)), fds).ok()) return;
    const absl::Status status =
        to_worker ? channel.ReceiveToWorker().status() : channel.ReceiveFromWorker().status();
    if (!status.ok()) return;  // whoever reads it hangs up, or kills
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  google::protobuf::SetLogHandler(nullptr);  // of text that is no UTF-8, a line each
  if (size < 1) return 0;
  const std::string_view bytes(reinterpret_cast<const char*>(data) + 1, size - 1);
  switch (data[0] % 4) {
    case 0:
      Record(bytes);
      break;
    case 1:
      Payload(bytes);
      break;
    default:
      Channel(bytes, data[0] % 4 == 2);
  }
  return 0;
}
