// The bytes of one export's file in the state directory.
//
//   offset  size
//        0     8  magic "FSDEXPT\n"
//        8     4  format version, little-endian: kRecordFormatVersion
//       12     4  length of the payload, little-endian
//       16     4  CRC-32C of bytes 0…15 and the payload, little-endian
//       20     n  payload: a serialized internal.ExportRecord
//
// Pure functions: any bytes may be given to DecodeRecord.
#ifndef FSD_SERVER_SUPERVISOR_RECORD_FORMAT_H_
#define FSD_SERVER_SUPERVISOR_RECORD_FORMAT_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "proto/fsd/internal/export_spec.pb.h"

namespace fsd::supervisor {

inline constexpr std::string_view kRecordMagic = "FSDEXPT\n";
inline constexpr uint32_t kRecordFormatVersion = 1;
// ExportRecord.version: what its fields mean.
inline constexpr uint32_t kExportRecordVersion = 1;
inline constexpr size_t kRecordHeaderBytes = 20;
inline constexpr size_t kMaxRecordBytes = 1024 * 1024;

std::string EncodeRecord(const internal::ExportRecord& record);

// DATA_LOSS: damaged. UNIMPLEMENTED: of a version that this program does not know.
absl::StatusOr<internal::ExportRecord> DecodeRecord(std::string_view bytes);

}  // namespace fsd::supervisor

#endif  // FSD_SERVER_SUPERVISOR_RECORD_FORMAT_H_
