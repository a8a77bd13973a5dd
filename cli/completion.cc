#include "cli/completion.h"

namespace fsd::cli {
namespace {

const CLI::App* FindSubcommand(const CLI::App& app, const std::string& name) {
  const auto found = app.get_subcommands(
      [&](const CLI::App* subcommand) { return subcommand->get_name() == name; });
  return found.empty() ? nullptr : found.front();
}

bool TakesValue(const CLI::Option& option) { return option.get_items_expected_min() > 0; }

// Also of the commands above, whose options may stand anywhere.
const CLI::Option* FindOption(const CLI::App* app, const std::string& name) {
  for (; app != nullptr; app = app->get_parent()) {
    if (const CLI::Option* option = app->get_option_no_throw(name); option != nullptr)
      return option;
  }
  return nullptr;
}

// "auto", "always", "never" of an option whose values are called "auto|always|never".
std::vector<std::string> Choices(const CLI::Option& option) {
  const std::string type = option.get_type_name();
  std::vector<std::string> choices;
  if (type.find('|') == std::string::npos) return choices;
  size_t begin = 0;
  for (;;) {
    const size_t end = type.find('|', begin);
    choices.push_back(type.substr(begin, end - begin));
    if (end == std::string::npos) return choices;
    begin = end + 1;
  }
}

std::vector<std::string> OptionNames(const CLI::App* app) {
  std::vector<std::string> names;
  for (; app != nullptr; app = app->get_parent()) {
    for (const CLI::Option* option : app->get_options()) {
      for (const std::string& name : option->get_lnames()) names.push_back("--" + name);
    }
  }
  return names;
}

std::vector<std::string> WithPrefix(const std::vector<std::string>& candidates,
                                    const std::string& prefix) {
  std::vector<std::string> matching;
  for (const std::string& candidate : candidates) {
    if (candidate.starts_with(prefix)) matching.push_back(candidate);
  }
  return matching;
}

bool TakesExport(const CLI::App& command) {
  constexpr char kNew[] = "create";  // its name is not there yet
  return command.get_option_no_throw("NAME") != nullptr && command.get_name() != kNew;
}

}  // namespace

std::vector<std::string> Complete(const CLI::App& app, const std::vector<std::string>& words,
                                  const std::function<std::vector<std::string>()>& names) {
  const CLI::App* command = &app;
  const CLI::Option* open = nullptr;  // whose value is next
  for (size_t i = 0; i + 1 < words.size(); ++i) {
    const std::string& word = words[i];
    if (open != nullptr) {
      if (word != "=") open = nullptr;  // bash takes --option=value apart
    } else if (word.starts_with('-')) {
      const CLI::Option* const option = FindOption(command, word);
      if (option != nullptr && TakesValue(*option)) open = option;
    } else if (const CLI::App* const next = FindSubcommand(*command, word); next != nullptr) {
      command = next;
    }
  }
  std::string last = words.empty() ? "" : words.back();
  if (open != nullptr) return WithPrefix(Choices(*open), last == "=" ? "" : last);
  if (const size_t equals = last.find('='); last.starts_with('-') && equals != std::string::npos) {
    const CLI::Option* const option = FindOption(command, last.substr(0, equals));
    std::vector<std::string> whole;
    if (option != nullptr) {
      for (const std::string& choice : Choices(*option)) {
        whole.push_back(last.substr(0, equals + 1) + choice);
      }
    }
    return WithPrefix(whole, last);
  }
  if (last.starts_with('-')) return WithPrefix(OptionNames(command), last);
  std::vector<std::string> candidates;
  for (const CLI::App* subcommand :
       command->get_subcommands([](const CLI::App*) { return true; })) {
    candidates.push_back(subcommand->get_name());
  }
  if (candidates.empty() && TakesExport(*command)) candidates = names();
  if (candidates.empty()) {
    for (const CLI::Option* option : command->get_options()) {
      if (option->get_positional()) candidates = Choices(*option);
    }
  }
  return WithPrefix(candidates, last);
}

std::string CompletionScript(const std::string& shell) {
  if (shell == "zsh") {
    return R"(#compdef fsctl
_fsctl() {
  local -a candidates
  candidates=("${(@f)$(fsctl __complete "${(@)words[2,CURRENT]}" 2>/dev/null)}")
  if [[ -n "${candidates[1]}" ]]; then
    compadd -- "${candidates[@]}"
  else
    _files
  fi
}
if [[ "${funcstack[1]}" = _fsctl ]]; then
  _fsctl "$@"
else
  compdef _fsctl fsctl
fi
)";
  }
  if (shell == "fish") {
    return R"(function __fsctl_complete
    set -l words (commandline -opc)
    set -l candidates (fsctl __complete $words[2..-1] (commandline -ct) 2>/dev/null)
    if test (count $candidates) -gt 0
        printf '%s\n' $candidates
    else
        __fish_complete_path (commandline -ct)
    end
end
complete -c fsctl -f -a '(__fsctl_complete)'
)";
  }
  return R"(_fsctl() {
  local IFS=$'\n'
  COMPREPLY=($(fsctl __complete "${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null))
}
complete -o default -F _fsctl fsctl
)";
}

}  // namespace fsd::cli
