#include "cli/wait_command.h"

#include <chrono>
#include <iostream>
#include <memory>
#include <optional>
#include <string>

#include "cli/export_watch.h"
#include "cli/output.h"
#include "cli/printable.h"
#include "cli/progress.h"
#include "cli/resource_name.h"
#include "cli/selector.h"
#include "cli/timeout_option.h"
#include "cli/wait_condition.h"

namespace fsd::cli {
namespace {

struct Arguments {
  std::string name;
  std::string text;  // of the condition
  WaitCondition condition;
  std::optional<std::chrono::nanoseconds> timeout;
};

// Follows one export until the condition is met or cannot be any more.
class Waiter {
 public:
  explicit Waiter(const WaitCondition& condition) : condition_(condition) {}

  // As WatchHandler.
  bool Take(const v1::WatchExportsResponse& event) {
    switch (event.kind()) {
      case v1::WatchExportsResponse::BOOKMARK:
        if (!last_.has_value()) is_gone_ = true;
        break;
      case v1::WatchExportsResponse::REMOVED:
        last_.reset();
        is_gone_ = true;
        break;
      default:
        last_ = event.export_();
        is_met_ = condition_.IsMet(*last_);
    }
    return !is_met_ && !is_gone_;
  }

  bool is_met() const { return is_met_ || (is_gone_ && condition_.IsDeletion()); }
  bool is_gone() const { return is_gone_; }
  const std::optional<v1::Export>& last() const { return last_; }

 private:
  const WaitCondition& condition_;
  std::optional<v1::Export> last_;
  bool is_met_ = false;
  bool is_gone_ = false;
};

void PrintMet(const std::string& name, const Arguments& arguments, const Waiter& waiter,
              const Options& options) {
  if (IsTable(options.style.format)) {
    std::cout << name << ": " << Printable(arguments.text) << "\n";
  } else if (waiter.last().has_value()) {
    std::cout << ExportText(*waiter.last(), options.style);
  } else if (options.style.format == Format::kName) {
    std::cout << name << "\n";
  } else {
    std::cout << "{}\n";
  }
}

ExitCode Wait(const Arguments& arguments, const Options& options) {
  Client client(options);
  const std::string name = Printable(ResourceName(arguments.name));
  std::optional<std::chrono::system_clock::time_point> deadline;
  if (arguments.timeout.has_value()) {
    deadline = std::chrono::system_clock::now() +
               std::chrono::duration_cast<std::chrono::system_clock::duration>(*arguments.timeout);
  }
  Waiter waiter(arguments.condition);
  ExitCode code = ExitCode::kOk;
  {
    Progress progress("waiting for " + name + " to be " + Printable(arguments.text),
                      arguments.timeout);
    code = WatchExports(client, "wait for " + name,
                        "name = " + FilterString(ResourceName(arguments.name)), deadline,
                        [&](const v1::WatchExportsResponse& event) {
                          const bool goes_on = waiter.Take(event);
                          if (waiter.last().has_value()) {
                            progress.Set("waiting for " + name + ": " +
                                         arguments.condition.Difference(*waiter.last()));
                          }
                          return goes_on;
                        });
  }
  if (code == ExitCode::kTimedOut) {
    std::cerr << "fsctl: " << name << " is not " << Printable(arguments.text) << " in time"
              << (waiter.last().has_value() ? ": " + arguments.condition.Difference(*waiter.last())
                                            : "")
              << "\nhint: 'fsctl export get " << Printable(ExportId(arguments.name))
              << "' shows what it does; --timeout sets how long to wait\n";
  }
  if (code != ExitCode::kOk) return code;
  if (!waiter.is_met()) {
    std::cerr << "fsctl: there is no " << name
              << " to wait for\nhint: 'fsctl export list' shows the exports there are\n";
    return ExitCode::kNotFound;
  }
  PrintMet(name, arguments, waiter, options);
  return ExitCode::kOk;
}

}  // namespace

void AddWaitCommand(CLI::App& exports, const Options& options, ExitCode& result) {
  const auto arguments = std::make_shared<Arguments>();
  CLI::App& command =
      *exports.add_subcommand("wait", "Wait until an export is in a state, or gone");
  command.footer(std::string("--for takes ") + kWaitForms +
                 ".\nAn export that does not exist, or is deleted meanwhile, is not waited for "
                 "(exit status 3).");
  command.add_option("NAME", arguments->name, "The export")->required();
  command
      .add_option_function<std::string>(
          "--for",
          [arguments](const std::string& text) {
            const auto condition = WaitCondition::Parse(text);
            if (!condition.has_value()) {
              throw CLI::ValidationError("--for",
                                         "'" + Printable(text) + "' is not of " + kWaitForms);
            }
            arguments->text = text;
            arguments->condition = *condition;
          },
          "What to wait for: mounted, state=LISTENING, condition=UPDATE_PENDING=false, deleted")
      ->type_name("CONDITION")
      ->required();
  AddTimeoutOption(command, "--timeout", "How long to wait at most (for ever)",
                   [arguments](std::chrono::nanoseconds timeout) { arguments->timeout = timeout; });
  command.callback([arguments, &options, &result] { result = Wait(*arguments, options); });
}

}  // namespace fsd::cli
