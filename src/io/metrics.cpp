#include "io/metrics.hpp"

#include <mutex>
#include <prometheus/counter.h>
#include <prometheus/gauge.h>
#include <prometheus/histogram.h>
#include <prometheus/registry.h>
#include <prometheus/text_serializer.h>
#include <vector>

namespace assay::io {
namespace {

const prometheus::Histogram::BucketBoundaries kSeconds{
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120};

}  // namespace

// The registry gives back a family of the same name, and a family the metric of the same labels.
struct Metrics::Impl {
  prometheus::Registry registry;
  std::mutex scraping;
  std::vector<std::function<void(Metrics&)>> refresh;
};

Metrics::Metrics() : impl_(std::make_unique<Impl>()) {}
Metrics::~Metrics() = default;

void Metrics::count(const Metric& metric, const Labels& labels, double by) {
  prometheus::BuildCounter()
      .Name(metric.name)
      .Help(metric.help)
      .Register(impl_->registry)
      .Add(labels)
      .Increment(by);
}

void Metrics::set(const Metric& metric, const Labels& labels, double value) {
  prometheus::BuildGauge()
      .Name(metric.name)
      .Help(metric.help)
      .Register(impl_->registry)
      .Add(labels)
      .Set(value);
}

void Metrics::add(const Metric& metric, const Labels& labels, double by) {
  prometheus::BuildGauge()
      .Name(metric.name)
      .Help(metric.help)
      .Register(impl_->registry)
      .Add(labels)
      .Increment(by);
}

void Metrics::observe(const Metric& metric, const Labels& labels, double seconds) {
  prometheus::BuildHistogram()
      .Name(metric.name)
      .Help(metric.help)
      .Register(impl_->registry)
      .Add(labels, kSeconds)
      .Observe(seconds);
}

void Metrics::on_scrape(std::function<void(Metrics&)> refresh) {
  impl_->refresh.push_back(std::move(refresh));
}

std::string Metrics::text() {
  const std::lock_guard lock(impl_->scraping);
  for (const auto& refresh : impl_->refresh) refresh(*this);
  return prometheus::TextSerializer().Serialize(impl_->registry.Collect());
}

}  // namespace assay::io
