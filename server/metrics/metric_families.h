// MetricFamilies: metrics as they are collected, each name with its help and type once.
#ifndef FSD_SERVER_METRICS_METRIC_FAMILIES_H_
#define FSD_SERVER_METRICS_METRIC_FAMILIES_H_

#include <initializer_list>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "prometheus/client_metric.h"
#include "prometheus/metric_family.h"
#include "prometheus/metric_type.h"

namespace fsd::metrics {

class MetricFamilies {
 public:
  using Labels = std::initializer_list<std::pair<std::string_view, std::string_view>>;

  void Counter(const std::string& name, const std::string& help, Labels labels, double value) {
    Add(name, help, prometheus::MetricType::Counter, labels).counter.value = value;
  }
  void Gauge(const std::string& name, const std::string& help, Labels labels, double value) {
    Add(name, help, prometheus::MetricType::Gauge, labels).gauge.value = value;
  }
  void Histogram(const std::string& name, const std::string& help, Labels labels,
                 prometheus::ClientMetric::Histogram histogram) {
    Add(name, help, prometheus::MetricType::Histogram, labels).histogram = std::move(histogram);
  }

  // All of them, ordered by name.
  std::vector<prometheus::MetricFamily> Take() {
    std::vector<prometheus::MetricFamily> taken;
    for (auto& [name, family] : families_) taken.push_back(std::move(family));
    families_.clear();
    return taken;
  }

 private:
  prometheus::ClientMetric& Add(const std::string& name, const std::string& help,
                                prometheus::MetricType type, Labels labels) {
    prometheus::MetricFamily& family = families_[name];
    family.name = name;
    family.help = help;
    family.type = type;
    prometheus::ClientMetric& metric = family.metric.emplace_back();
    for (const auto& [label, value] : labels) {
      metric.label.push_back({std::string(label), std::string(value)});
    }
    return metric;
  }

  std::map<std::string, prometheus::MetricFamily> families_;
};

}  // namespace fsd::metrics

#endif  // FSD_SERVER_METRICS_METRIC_FAMILIES_H_
