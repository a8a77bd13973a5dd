#include "server/supervisor/export_store.h"

#include <sys/stat.h>
#include <unistd.h>

#include <fstream>
#include <optional>
#include <sstream>

#include "gmock/gmock.h"
#include "server/supervisor/error_reason.h"
#include "server/supervisor/record_format.h"

namespace fsd::supervisor {
namespace {

using internal::ExportRecord;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::Optional;

ExportRecord RecordOf(const std::string& id) {
  ExportRecord record;
  record.set_version(kExportRecordVersion);
  record.set_uid("uid of " + id);
  record.mutable_spec()->set_id(id);
  return record;
}

class ExportStoreTest : public ::testing::Test {
 protected:
  ExportStoreTest() {
    char name[] = "/tmp/fsd-store-XXXXXX";
    root_ = ::mkdtemp(name);
    store_ = *ExportStore::Open(root_ + "/state");
  }
  ~ExportStoreTest() override {
    store_.reset();
    [[maybe_unused]] const int status = ::system(("rm -rf " + root_).c_str());
  }

  // As after a restart of the supervisor.
  void Reopen() {
    store_.reset();
    store_ = *ExportStore::Open(root_ + "/state");
  }
  std::vector<std::string> LoadedIds() {
    std::vector<std::string> ids;
    const auto records = store_->LoadAll();
    for (const ExportRecord& record : *records) ids.push_back(record.spec().id());
    return ids;
  }
  std::string PathOf(const std::string& name) const { return root_ + "/state/exports/" + name; }
  void WriteFile(const std::string& name, const std::string& bytes) const {
    std::ofstream(PathOf(name), std::ios::binary) << bytes;
  }
  std::string ReadFile(const std::string& name) const {
    std::ostringstream text;
    text << std::ifstream(PathOf(name), std::ios::binary).rdbuf();
    return text.str();
  }
  bool Exists(const std::string& name) const { return ::access(PathOf(name).c_str(), F_OK) == 0; }

  std::string root_;
  std::optional<ExportStore> store_;
};

TEST_F(ExportStoreTest, RecordsSurviveARestartInTheOrderOfTheirIds) {
  ASSERT_TRUE(store_->Save(RecordOf("web")).ok());
  ASSERT_TRUE(store_->Save(RecordOf("db")).ok());
  Reopen();
  const auto records = store_->LoadAll();
  ASSERT_TRUE(records.ok()) << records.status();
  ASSERT_EQ(records->size(), 2u);
  EXPECT_EQ((*records)[0].SerializeAsString(), RecordOf("db").SerializeAsString());
  EXPECT_EQ((*records)[1].uid(), "uid of web");
}

TEST_F(ExportStoreTest, OnlyASavedRecordCanBeSynced) {
  ASSERT_TRUE(store_->Save(RecordOf("web")).ok());
  EXPECT_TRUE(store_->Sync("web").ok());
  EXPECT_THAT(ReasonOf(store_->Sync("db")), Optional(std::string("STATE_UNAVAILABLE")));
}

TEST_F(ExportStoreTest, SavingAgainReplaces) {
  ASSERT_TRUE(store_->Save(RecordOf("web")).ok());
  ExportRecord changed = RecordOf("web");
  changed.set_uid("changed");
  ASSERT_TRUE(store_->Save(changed).ok());
  EXPECT_EQ(store_->LoadAll()->at(0).uid(), "changed");
}

TEST_F(ExportStoreTest, ARemovedRecordIsGoneAndRemovingTwiceIsNoError) {
  ASSERT_TRUE(store_->Save(RecordOf("web")).ok());
  EXPECT_TRUE(store_->Remove("web").ok());
  EXPECT_TRUE(store_->Remove("web").ok());
  EXPECT_THAT(LoadedIds(), IsEmpty());
}

TEST_F(ExportStoreTest, ADamagedRecordIsSetAsideWholeAndHoldsUpNoOther) {
  ASSERT_TRUE(store_->Save(RecordOf("db")).ok());
  ASSERT_TRUE(store_->Save(RecordOf("web")).ok());
  std::string bytes = ReadFile("db");
  bytes.back() = static_cast<char>(bytes.back() ^ 1);
  WriteFile("db", bytes);

  EXPECT_THAT(LoadedIds(), ElementsAre("web"));
  EXPECT_FALSE(Exists("db"));
  EXPECT_EQ(ReadFile("db.damaged"), bytes);
  EXPECT_THAT(LoadedIds(), ElementsAre("web"));
}

TEST_F(ExportStoreTest, ASecondDamagedRecordDoesNotReplaceTheFirst) {
  WriteFile("web", "first");
  EXPECT_THAT(LoadedIds(), IsEmpty());
  WriteFile("web", "second");
  EXPECT_THAT(LoadedIds(), IsEmpty());
  EXPECT_EQ(ReadFile("web.damaged"), "first");
  EXPECT_EQ(ReadFile("web.1.damaged"), "second");
}

TEST_F(ExportStoreTest, RecordsOfUnknownVersionOrAnotherIdAreSetAside) {
  ExportRecord newer = RecordOf("newer");
  newer.set_version(99);
  WriteFile("newer", EncodeRecord(newer));
  WriteFile("stranger", EncodeRecord(RecordOf("web")));
  WriteFile("empty", "");
  EXPECT_THAT(LoadedIds(), IsEmpty());
  EXPECT_TRUE(Exists("newer.damaged"));
  EXPECT_TRUE(Exists("stranger.damaged"));
  EXPECT_TRUE(Exists("empty.damaged"));
}

TEST_F(ExportStoreTest, WhatASaveLeftHalfDoneIsNoRecord) {
  ASSERT_TRUE(store_->Save(RecordOf("web")).ok());
  WriteFile(".db.tmp", EncodeRecord(RecordOf("db")));
  WriteFile(".web.tmp", EncodeRecord(RecordOf("web")).substr(0, 10));
  EXPECT_THAT(LoadedIds(), ElementsAre("web"));
  EXPECT_FALSE(Exists(".db.tmp"));
}

TEST_F(ExportStoreTest, TwoSupervisorsCannotShareADirectory) {
  const auto second = ExportStore::Open(root_ + "/state");
  EXPECT_EQ(second.status().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(ReasonOf(second.status()), Optional(std::string("STATE_UNAVAILABLE")));
  store_.reset();
  EXPECT_TRUE(ExportStore::Open(root_ + "/state").ok());
}

TEST_F(ExportStoreTest, ASaveThatCannotBeWrittenSaysSoAndLeavesTheOldRecord) {
  ASSERT_TRUE(store_->Save(RecordOf("web")).ok());
  // A directory where the temporary file is to be: root is not stopped by permissions.
  ASSERT_EQ(::mkdir(PathOf(".web.tmp").c_str(), 0700), 0);
  ExportRecord changed = RecordOf("web");
  changed.set_uid("changed");
  EXPECT_THAT(ReasonOf(store_->Save(changed)), Optional(std::string("STATE_UNAVAILABLE")));
  EXPECT_EQ(store_->LoadAll()->at(0).uid(), "uid of web");
}

}  // namespace
}  // namespace fsd::supervisor
