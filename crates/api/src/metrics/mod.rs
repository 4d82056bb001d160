//! Every metric that the program has, with what it means: described here once, listed in docs/MONITORING.md (a test compares both
//! with the code), and rendered at `/metrics`. No label holds a person's data.

mod list;

use std::time::Duration;

use domain::{Clock, SystemClock};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use metrics_util::MetricKindMask;
use service::Service;

pub use list::{Kind, METRICS, Metric, Whose};

/// Seconds.
const BUCKETS: [f64; 13] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];
/// How often samples are folded into their buckets, asked for or not.
const UPKEEP: Duration = Duration::from_secs(5);
/// A gauge that nobody has set for so long is another node's by now.
const IDLE: Duration = Duration::from_secs(300);

/// Keeps the metrics from growing while nobody asks for them; runs until it is dropped.
pub async fn keep_metrics(handle: PrometheusHandle) {
    loop {
        tokio::time::sleep(UPKEEP).await;
        handle.run_upkeep();
    }
}

/// Installs the process's metrics; a second call in one process (tests) gives a handle that shows nothing.
pub fn install_metrics() -> PrometheusHandle {
    // Without buckets every sample would be kept until somebody asks.
    let builder = PrometheusBuilder::new().idle_timeout(MetricKindMask::GAUGE, Some(IDLE));
    let builder = builder.set_buckets(&BUCKETS).unwrap_or_else(|_| PrometheusBuilder::new());
    let recorder = builder.build_recorder();
    let handle = recorder.handle();
    if metrics::set_global_recorder(recorder).is_err() {
        tracing::debug!("metrics are installed already");
    }
    for Metric { name, kind, whose, help, .. } in METRICS {
        let help = match whose {
            Whose::Node => format!("{help}. Of this node."),
            Whose::Database => format!("{help}. Of the whole database, by one node at a time: max, not sum."),
        };
        match kind {
            Kind::Counter => metrics::describe_counter!(name, help),
            Kind::Gauge => metrics::describe_gauge!(name, help),
            Kind::Histogram => metrics::describe_histogram!(name, help),
        }
    }
    metrics::gauge!("process_start_time_seconds").set(started());
    handle
}

/// When this process started, near enough: when its metrics were installed, in Unix seconds.
fn started() -> f64 {
    static STARTED: std::sync::OnceLock<f64> = std::sync::OnceLock::new();
    #[expect(clippy::cast_precision_loss, reason = "a gauge")]
    *STARTED.get_or_init(|| SystemClock.now() as f64 / 1_000.0)
}

/// What is measured when somebody asks: the process, its connections, what writing took.
pub(crate) async fn measure(service: &Service) {
    let store = service.store();
    let engine = if store.is_shared() { "postgres" } else { "sqlite" };
    metrics::gauge!("hongyan_build_info", "version" => env!("CARGO_PKG_VERSION"), "engine" => engine)
        .set(1.0);
    metrics::gauge!("process_start_time_seconds").set(started());
    metrics::gauge!("hongyan_ready").set(if store.ready().await.is_ok() { 1.0 } else { 0.0 });
    if let Some(bytes) = resident() {
        metrics::gauge!("process_resident_memory_bytes").set(bytes);
    }
    for (work, done) in store.writer_work() {
        metrics::counter!("hongyan_database_written_rows_total", "work" => work).absolute(done.rows);
        let took = u64::try_from(done.took.as_millis()).unwrap_or(u64::MAX);
        metrics::counter!("hongyan_database_write_milliseconds_total", "work" => work).absolute(took);
    }
    let pool = store.pool_use();
    for (state, count) in [("open", pool.open), ("idle", pool.idle), ("most", pool.most)] {
        metrics::gauge!("hongyan_database_connections", "state" => state).set(f64::from(count));
    }
    if !store.is_shared() {
        let (file, wal, free) = store.room();
        for (what, bytes) in [("file", Some(file)), ("wal", Some(wal)), ("free", free)] {
            if let Some(bytes) = bytes {
                #[expect(clippy::cast_precision_loss, reason = "a gauge")]
                metrics::gauge!("hongyan_database_bytes", "what" => what).set(bytes as f64);
            }
        }
    }
}

/// Bytes of memory in use, where the system says so cheaply.
fn resident() -> Option<f64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kib: f64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib * 1_024.0)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::path::{Path, PathBuf};

    use super::*;

    fn root() -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
    }

    /// The names that the code counts by: the text after `counter!(`, `gauge!(`, `histogram!(`.
    fn counted(directory: &Path, names: &mut BTreeSet<(String, &'static str)>) {
        for entry in std::fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                counted(&path, names);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = std::fs::read_to_string(&path).unwrap();
                for (sort, word) in [("counter", "counter"), ("gauge", "gauge"), ("histogram", "histogram")] {
                    for part in text.split(&format!("metrics::{sort}!(")).skip(1) {
                        let Some(part) = part.trim_start().strip_prefix('"') else { continue };
                        names.insert((part.split('"').next().unwrap().to_owned(), word));
                    }
                }
            }
        }
    }

    #[test]
    fn the_list_is_what_the_code_counts() {
        let mut names = BTreeSet::new();
        for entry in std::fs::read_dir(root().join("crates")).unwrap() {
            let source = entry.unwrap().path().join("src");
            if source.is_dir() && !source.starts_with(root().join("crates/simulator")) {
                counted(&source, &mut names);
            }
        }
        let listed: BTreeSet<(String, &str)> = METRICS
            .iter()
            .map(|metric| {
                let sort = match metric.kind {
                    Kind::Counter => "counter",
                    Kind::Gauge => "gauge",
                    Kind::Histogram => "histogram",
                };
                (metric.name.to_owned(), sort)
            })
            .collect();
        assert_eq!(listed.len(), METRICS.len(), "one name twice");
        assert_eq!(names, listed);
    }

    #[test]
    fn each_stands_in_the_documents_with_its_labels() {
        for document in ["docs/MONITORING.md", "docs/zh/MONITORING.md"] {
            let text = std::fs::read_to_string(root().join(document)).unwrap();
            let rows: BTreeSet<&str> = text
                .lines()
                .filter_map(|line| line.strip_prefix("| `"))
                .filter_map(|line| line.split('`').next())
                .filter(|name| name.starts_with("hongyan_") || name.starts_with("process_"))
                .collect();
            let wanted: Vec<String> = METRICS
                .iter()
                .map(|metric| match metric.labels {
                    [] => metric.name.to_owned(),
                    labels => format!("{}{{{}}}", metric.name, labels.join(",")),
                })
                .collect();
            assert_eq!(rows, wanted.iter().map(String::as_str).collect(), "{document}");
        }
    }

    #[test]
    fn alerts_and_dashboard_name_metrics_that_there_are() {
        for file in ["examples/monitoring/alerts.yml", "examples/monitoring/grafana.json"] {
            let text = std::fs::read_to_string(root().join(file)).unwrap();
            let words = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
            for word in words.filter(|word| word.starts_with("hongyan_") || word.starts_with("process_")) {
                let plain = ["_bucket", "_sum", "_count"].iter().find_map(|end| word.strip_suffix(end));
                let known = |name: &str| METRICS.iter().any(|metric| metric.name == name);
                assert!(known(word) || plain.is_some_and(known), "{file}: {word}");
            }
        }
    }
}
