#include "cli/update_command.h"

#include <set>
#include <string>

#include "cli/option_paths.h"
#include "gmock/gmock.h"
#include "google/protobuf/util/field_mask_util.h"
#include "gtest/gtest.h"
#include "proto/fsd/v1/export.pb.h"

namespace fsd::cli {
namespace {

TEST(UpdateCommand, EachOptionThatSetsAFieldHasAPathOfAnExport) {
  const std::set<std::string> others = {"--help",    "NAME",    "--reset",       "--etag",
                                        "--dry-run", "--label", "--remove-label"};
  CLI::App app;
  const Options options;
  ExitCode result = ExitCode::kOk;
  AddUpdateCommand(app, options, result);

  for (const CLI::Option* option : app.get_subcommand("update")->get_options()) {
    const std::string name = option->get_name();
    const std::string path(PathOfOption(name));
    EXPECT_EQ(path.empty(), others.contains(name)) << name;
    EXPECT_TRUE(path.empty() ||
                google::protobuf::util::FieldMaskUtil::IsValidPath<v1::Export>(path))
        << name << " " << path;
  }
}

}  // namespace
}  // namespace fsd::cli
