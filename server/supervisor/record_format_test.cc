#include "server/supervisor/record_format.h"

#include "gtest/gtest.h"

namespace fsd::supervisor {
namespace {

internal::ExportRecord WebRecord() {
  internal::ExportRecord record;
  record.set_version(kExportRecordVersion);
  record.set_uid("0123456789abcdef");
  record.mutable_spec()->set_id("web");
  record.mutable_spec()->set_tag("myfs");
  return record;
}

TEST(RecordFormatTest, DecodesWhatItEncoded) {
  const auto decoded = DecodeRecord(EncodeRecord(WebRecord()));
  ASSERT_TRUE(decoded.ok()) << decoded.status();
  EXPECT_EQ(decoded->SerializeAsString(), WebRecord().SerializeAsString());
}

TEST(RecordFormatTest, TheChecksumIsCrc32c) {
  // Of "FSDEXPT\n", version 1, length 2 and the payload 08 01, worked out with another program.
  internal::ExportRecord record;
  record.set_version(1);
  EXPECT_EQ(EncodeRecord(record).substr(16, 4), std::string("\x74\xb1\x4e\x82", 4));
}

TEST(RecordFormatTest, AnyChangedByteIsNoticed) {
  const std::string good = EncodeRecord(WebRecord());
  for (size_t i = 0; i < good.size(); ++i) {
    std::string bytes = good;
    bytes[i] = static_cast<char>(bytes[i] ^ 0x10);
    EXPECT_FALSE(DecodeRecord(bytes).ok()) << "byte " << i;
  }
}

TEST(RecordFormatTest, AnyShorterOrLongerFileIsDamaged) {
  const std::string good = EncodeRecord(WebRecord());
  for (size_t size = 0; size < good.size(); ++size) {
    EXPECT_EQ(DecodeRecord(good.substr(0, size)).status().code(), absl::StatusCode::kDataLoss);
  }
  EXPECT_EQ(DecodeRecord(good + '\0').status().code(), absl::StatusCode::kDataLoss);
}

TEST(RecordFormatTest, AnotherFormatVersionIsNamed) {
  std::string bytes = EncodeRecord(WebRecord());
  bytes[8] = 7;
  const absl::Status status = DecodeRecord(bytes).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kUnimplemented);
  EXPECT_NE(status.message().find("version 7"), absl::string_view::npos);
}

TEST(RecordFormatTest, AnotherRecordVersionIsUnknown) {
  internal::ExportRecord record = WebRecord();
  record.set_version(2);
  EXPECT_EQ(DecodeRecord(EncodeRecord(record)).status().code(), absl::StatusCode::kUnimplemented);
}

}  // namespace
}  // namespace fsd::supervisor
