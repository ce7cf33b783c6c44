// Counters, gauges and histograms of one service, in Prometheus's text format. Labels take few
// values each: a route's pattern, a model's name, a state; never an id or an address.
#pragma once
#include <functional>
#include <map>
#include <memory>
#include <string>

namespace assay::io {

struct Metric {
  const char* name;  // "assay_gateway_tokens_total", units last: _seconds, _bytes, _total
  const char* help;
};

// Safe to use from many threads. One name is of one kind.
class Metrics {
 public:
  using Labels = std::map<std::string, std::string>;

  Metrics();
  ~Metrics();
  Metrics(const Metrics&) = delete;
  Metrics& operator=(const Metrics&) = delete;

  void count(const Metric& metric, const Labels& labels, double by = 1);
  void set(const Metric& metric, const Labels& labels, double value);
  void add(const Metric& metric, const Labels& labels, double by);  // to a gauge
  // Into buckets from 1 ms to 2 minutes.
  void observe(const Metric& metric, const Labels& labels, double seconds);

  // Gauges that are read off something when somebody asks: called before each text(), one at a
  // time. Set up before the service listens.
  void on_scrape(std::function<void(Metrics&)> refresh);
  std::string text();  // text/plain; version=0.0.4

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace assay::io
