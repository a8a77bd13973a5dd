#include "cli/apply_command.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <iostream>
#include <iterator>
#include <memory>
#include <string>
#include <vector>

#include "cli/apply_plan.h"
#include "cli/manifest.h"
#include "cli/output.h"
#include "cli/printable.h"
#include "cli/resource_name.h"
#include "cli/selector.h"
#include "cli/yaml_text.h"

namespace fsd::cli {
namespace {

struct Arguments {
  std::vector<std::string> files;
  std::string selector;
  bool prune = false;
  bool dry_run = false;
};

class Apply {
 public:
  Apply(const Arguments& arguments, const Options& options)
      : arguments_(arguments), options_(options), client_(options) {}

  // First everything is looked at and checked; only if nothing is wrong, something is changed.
  ExitCode Run() {
    for (const std::string& file : arguments_.files) {
      if (const ExitCode code = ReadFile(file); code != ExitCode::kOk) return code;
    }
    ExitCode code = FetchAll();
    for (const v1::Export& wanted : wanted_) {
      if (code == ExitCode::kUnavailable) break;
      const ExitCode planned = Plan(wanted);
      if (code == ExitCode::kOk) code = planned;
    }
    if (code != ExitCode::kOk) return code;
    if (arguments_.prune) PlanPruning();
    return Execute();
  }

 private:
  ExitCode ReadFile(const std::string& file) {
    std::string text;
    if (file == "-") {
      text.assign(std::istreambuf_iterator<char>(std::cin), {});
    } else {
      std::ifstream in(file, std::ios::binary);
      text.assign(std::istreambuf_iterator<char>(in), {});
      if (!in) {
        std::cerr << "fsctl: cannot read " << Printable(file) << ": " << std::strerror(errno)
                  << "\n";
        return ExitCode::kFailure;
      }
    }
    const std::string problem = ReadManifest(text, wanted_);
    if (problem.empty()) return ExitCode::kOk;
    std::cerr << "fsctl: " << (file == "-" ? "standard input" : Printable(file)) << problem << "\n";
    return ExitCode::kInvalid;
  }

  // All exports there are, and which of them the selector names.
  ExitCode FetchAll() {
    ExitCode code = Fetch("", there_);
    if (code == ExitCode::kOk && arguments_.prune) {
      code = Fetch(SelectorFilter(arguments_.selector), selected_);
    }
    return code;
  }

  ExitCode Fetch(const std::string& filter, std::vector<v1::Export>& found) {
    v1::ListExportsRequest request;
    request.set_filter(filter);
    do {
      v1::ListExportsResponse page;
      const ExitCode code = client_.Call("list exports", [&](grpc::ClientContext& context) {
        return client_.exports().ListExports(&context, request, &page);
      });
      if (code != ExitCode::kOk) return code;
      found.insert(found.end(), page.exports().begin(), page.exports().end());
      request.set_page_token(page.next_page_token());
    } while (!request.page_token().empty());
    return ExitCode::kOk;
  }

  static const v1::Export* Find(const std::vector<v1::Export>& exports, const std::string& name) {
    const auto found = std::find_if(exports.begin(), exports.end(),
                                    [&](const v1::Export& e) { return e.name() == name; });
    return found == exports.end() ? nullptr : &*found;
  }

  void PlanPruning() {
    for (const v1::Export& resource : selected_) {
      if (Find(wanted_, resource.name()) != nullptr) continue;
      ApplyStep step;
      step.action = ApplyAction::kDelete;
      step.before = resource;
      steps_.push_back(std::move(step));
    }
  }

  ExitCode Plan(const v1::Export& wanted) {
    ApplyStep step;
    step.wanted = wanted;
    ExitCode code = ExitCode::kOk;
    if (const v1::Export* const before = Find(there_, wanted.name()); before != nullptr) {
      step.before = *before;
      step.wanted = WithServersChoices(wanted, *before);
      code = Update(step, true);
      step.action = step.update.effects().empty() ? ApplyAction::kNothing : ApplyAction::kUpdate;
    } else {
      step.action = ApplyAction::kCreate;
      code = Create(step, true);
    }
    steps_.push_back(std::move(step));
    return code;
  }

  ExitCode Create(const ApplyStep& step, bool validate_only) {
    v1::CreateExportRequest request;
    request.set_export_id(ExportId(step.wanted.name()));
    request.set_validate_only(validate_only);
    *request.mutable_export_() = step.wanted;
    v1::Export created;
    return client_.Call("create " + Printable(step.wanted.name()),
                        [&](grpc::ClientContext& context) {
                          return client_.exports().CreateExport(&context, request, &created);
                        });
  }

  // With the etag of the export that was looked at: what was planned is what is done.
  ExitCode Update(ApplyStep& step, bool validate_only) {
    v1::UpdateExportRequest request;
    *request.mutable_export_() = step.wanted;
    request.mutable_update_mask()->add_paths("*");
    request.set_etag(step.before.etag());
    request.set_validate_only(validate_only);
    return client_.Call("update " + Printable(step.wanted.name()),
                        [&](grpc::ClientContext& context) {
                          return client_.exports().UpdateExport(&context, request, &step.update);
                        });
  }

  ExitCode Delete(const ApplyStep& step) {
    v1::DeleteExportRequest request;
    request.set_name(step.before.name());
    request.set_etag(step.before.etag());
    request.set_mode(v1::DeleteExportRequest::SAFE);
    google::protobuf::Empty empty;
    return client_.Call("delete " + Printable(step.before.name()),
                        [&](grpc::ClientContext& context) {
                          return client_.exports().DeleteExport(&context, request, &empty);
                        });
  }

  ExitCode Do(ApplyStep& step) {
    switch (step.action) {
      case ApplyAction::kCreate:
        return Create(step, false);
      case ApplyAction::kUpdate:
        return Update(step, false);
      case ApplyAction::kDelete:
        return Delete(step);
      case ApplyAction::kNothing:
        break;
    }
    return ExitCode::kOk;
  }

  // One that fails does not hold up the rest.
  ExitCode Execute() {
    ExitCode first_failure = ExitCode::kOk;
    std::vector<ApplyStep> done;
    for (ApplyStep& step : steps_) {
      const ExitCode code = arguments_.dry_run ? ExitCode::kOk : Do(step);
      if (first_failure == ExitCode::kOk) first_failure = code;
      if (code != ExitCode::kOk) continue;
      if (IsTable(options_.style.format)) {
        std::cout << ApplyText(step, arguments_.dry_run) << std::flush;
      } else if (options_.style.format == Format::kName) {
        std::cout << Printable(step.action == ApplyAction::kDelete ? step.before.name()
                                                                   : step.wanted.name())
                  << "\n";
      }
      done.push_back(step);
    }
    if (options_.style.format == Format::kJson) std::cout << ApplyJson(done);
    if (options_.style.format == Format::kYaml) std::cout << YamlDocument(ApplyJson(done));
    return first_failure;
  }

  const Arguments& arguments_;
  const Options& options_;
  Client client_;
  std::vector<v1::Export> wanted_;
  std::vector<v1::Export> there_;
  std::vector<v1::Export> selected_;
  std::vector<ApplyStep> steps_;
};

}  // namespace

void AddApplyCommand(CLI::App& exports, const Options& options, ExitCode& result) {
  const auto arguments = std::make_shared<Arguments>();
  CLI::App& command = *exports.add_subcommand(
      "apply", "Make the exports be as files describe them, and say what that changes");
  command.footer(
      "Files are YAML or JSON, with the API's names, of one document or several; 'fsctl export "
      "get\n"
      "-o yaml' prints one. A field that is not in the file gets its default. All files are "
      "checked\n"
      "before anything is changed. --prune deletes exports with the labels that no file "
      "describes,\n"
      "but none that a virtual machine uses.");
  command
      .add_option("-f,--filename", arguments->files,
                  "A file, or - for standard input; may be repeated")
      ->type_name("FILE")
      ->required()
      ->allow_extra_args(false);
  CLI::Option* const selector =
      command
          .add_option("-l,--selector", arguments->selector, "Which exports to prune: tier=front")
          ->type_name("LABELS");
  CLI::Option* const prune = command.add_flag(
      "--prune", arguments->prune, "Delete the exports with these labels that no file describes");
  prune->needs(selector);
  selector->needs(prune);
  command.add_flag("--dry-run", arguments->dry_run,
                   "Check and say what would change, and change nothing");
  command.callback([arguments, &options, &result] { result = Apply(*arguments, options).Run(); });
}

}  // namespace fsd::cli
