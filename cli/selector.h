// Selections of exports: label selectors, filters and orders, as ListExportsRequest wants them.
#ifndef FSD_CLI_SELECTOR_H_
#define FSD_CLI_SELECTOR_H_

#include <string>

#include "CLI/CLI.hpp"

namespace fsd::cli {

// An AIP-160 filter of a selector as kubectl's: "tier=front,zone!=1,keep,!drop". A
// CLI::ValidationError says what is wrong.
std::string SelectorFilter(const std::string& selector);

// What matches both; either may be empty.
std::string BothFilters(const std::string& filter, const std::string& other);

// An order_by of "state,-created": name, created, updated, state, or the API's fields; after '-',
// the greatest first.
std::string OrderBy(const std::string& sort);

// `text` in double quotes, as filters have it.
std::string FilterString(const std::string& text);

// --filter and -l of a command, and what they make together.
struct Selection {
  std::string filter;
  std::string selector;

  std::string Filter() const;
};
void AddSelectionOptions(CLI::App& command, Selection& selection);

}  // namespace fsd::cli

#endif  // FSD_CLI_SELECTOR_H_
