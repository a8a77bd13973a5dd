#include "server/supervisor/record_format.h"

#include <array>

#include "absl/strings/str_cat.h"

namespace fsd::supervisor {
namespace {

constexpr size_t kVersionOffset = 8;
constexpr size_t kLengthOffset = 12;
constexpr size_t kChecksumOffset = 16;

constexpr std::array<uint32_t, 256> MakeCrc32cTable() {
  constexpr uint32_t kReversedPolynomial = 0x82f63b78;
  std::array<uint32_t, 256> table{};
  for (uint32_t i = 0; i < 256; ++i) {
    uint32_t crc = i;
    for (int bit = 0; bit < 8; ++bit) crc = (crc >> 1) ^ ((crc & 1) ? kReversedPolynomial : 0);
    table[i] = crc;
  }
  return table;
}

uint32_t ExtendCrc32c(uint32_t crc, std::string_view bytes) {
  static constexpr std::array<uint32_t, 256> kTable = MakeCrc32cTable();
  crc = ~crc;
  for (const char c : bytes) crc = (crc >> 8) ^ kTable[(crc ^ static_cast<uint8_t>(c)) & 0xff];
  return ~crc;
}

uint32_t Checksum(std::string_view bytes) {
  return ExtendCrc32c(ExtendCrc32c(0, bytes.substr(0, kChecksumOffset)),
                      bytes.substr(kRecordHeaderBytes));
}

void AppendLittleEndian(std::string& out, uint32_t value) {
  for (int shift = 0; shift < 32; shift += 8) out += static_cast<char>(value >> shift);
}

uint32_t LittleEndianAt(std::string_view bytes, size_t offset) {
  uint32_t value = 0;
  for (size_t i = 0; i < 4; ++i) {
    value |= static_cast<uint32_t>(static_cast<uint8_t>(bytes[offset + i])) << (8 * i);
  }
  return value;
}

}  // namespace

std::string EncodeRecord(const internal::ExportRecord& record) {
  const std::string payload = record.SerializeAsString();
  std::string bytes(kRecordMagic);
  AppendLittleEndian(bytes, kRecordFormatVersion);
  AppendLittleEndian(bytes, static_cast<uint32_t>(payload.size()));
  const uint32_t checksum = ExtendCrc32c(ExtendCrc32c(0, bytes), payload);
  AppendLittleEndian(bytes, checksum);
  return bytes + payload;
}

absl::StatusOr<internal::ExportRecord> DecodeRecord(std::string_view bytes) {
  if (bytes.size() < kRecordHeaderBytes || !bytes.starts_with(kRecordMagic)) {
    return absl::DataLossError("not an export record");
  }
  // Before the rest: another version may arrange it differently.
  if (const uint32_t version = LittleEndianAt(bytes, kVersionOffset);
      version != kRecordFormatVersion) {
    return absl::UnimplementedError(absl::StrCat("file format version ", version,
                                                 "; this program knows ", kRecordFormatVersion));
  }
  if (LittleEndianAt(bytes, kLengthOffset) != bytes.size() - kRecordHeaderBytes) {
    return absl::DataLossError("cut off or with bytes behind its end");
  }
  if (LittleEndianAt(bytes, kChecksumOffset) != Checksum(bytes)) {
    return absl::DataLossError("the checksum does not match");
  }
  internal::ExportRecord record;
  const std::string_view payload = bytes.substr(kRecordHeaderBytes);
  if (!record.ParseFromArray(payload.data(), static_cast<int>(payload.size()))) {
    return absl::DataLossError("the payload is not an export record");
  }
  if (record.version() != kExportRecordVersion) {
    return absl::UnimplementedError(absl::StrCat("record version ", record.version(),
                                                 "; this program knows ", kExportRecordVersion));
  }
  return record;
}

}  // namespace fsd::supervisor
