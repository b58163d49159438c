//! The figures: medians over rounds, ratios to nginx, the table and the JSON.

use super::Options;
use super::process::Reading;
use super::subjects::Subject;
use super::workloads::{Measure, WORKLOADS, Workload};
use serde_json::{Map, Value, json};
use std::collections::HashMap;
use std::fs;

const SUBJECTS: [&str; 3] = ["direct", "nginx", "gateway"];

type Key = (&'static str, Measure, &'static str);

/// All values of a run.
#[derive(Debug, Default)]
pub(super) struct Figures {
    rounds: HashMap<Key, Vec<f64>>,
    /// Subject, idle KiB, KiB after load.
    memory: Vec<(&'static str, f64, f64)>,
    /// What else was measured, in sentences.
    notes: Vec<String>,
    conditions: Vec<String>,
}

/// One line of progress.
pub(super) fn summary(workload: &Workload, report: &Value, reading: &Option<Reading>) -> String {
    let parts: Vec<String> = workload
        .measures
        .iter()
        .filter_map(|(m, _)| {
            value(*m, report, reading.as_ref()).map(|v| format!("{} {}", m.title(), short(v)))
        })
        .collect();
    parts.join(" · ")
}

fn value(measure: Measure, report: &Value, reading: Option<&Reading>) -> Option<f64> {
    let number = |pointer: &str| report.pointer(pointer).and_then(Value::as_f64);
    let cpu_us = reading.map(|r| r.cpu_seconds * 1e6);
    let per = |total: Option<f64>, count: Option<f64>| Some(total? / count.filter(|c| *c > 0.0)?);
    match measure {
        Measure::CpuPerRequest => per(cpu_us, number("/ok")),
        Measure::CpuPerEvent => per(cpu_us, number("/events")),
        Measure::EventsPerCpuSecond => per(number("/events"), cpu_us.map(|c| c / 1e6)),
        Measure::Rps => number("/rps"),
        Measure::EventsPerSecond => number("/events_per_second"),
        Measure::P50 => number("/latency_us/p50"),
        Measure::P99 => number("/latency_us/p99"),
        Measure::FirstByteP50 => number("/first_byte_us/p50"),
        Measure::FirstByteP99 => number("/first_byte_us/p99"),
        Measure::RssPerStream => number("/rss_per_stream_kib"),
    }
}

impl Figures {
    pub(super) fn new(options: &Options) -> Self {
        let mut out = Self::default();
        let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
        out.conditions.push(format!("{} interleaved rounds of {} s; medians. Proxy on core {}, load and upstream on core {}.", options.rounds, options.seconds, options.cores.0, options.cores.1));
        out.conditions.push(format!(
            "Load average at the start: {}.",
            load.split_whitespace()
                .take(3)
                .collect::<Vec<_>>()
                .join(" ")
        ));
        out
    }

    pub(super) fn record(
        &mut self,
        workload: &Workload,
        subject: &Subject,
        report: &Value,
        reading: &Option<Reading>,
    ) {
        for (measure, _) in workload.measures {
            if let Some(v) = value(*measure, report, reading.as_ref()) {
                self.rounds
                    .entry((workload.name, *measure, subject.name))
                    .or_default()
                    .push(v);
            }
        }
    }

    pub(super) fn record_memory(&mut self, subject: &'static str, idle_kib: f64, after_kib: f64) {
        self.memory.push((subject, idle_kib, after_kib));
    }

    pub(super) fn note(&mut self, sentence: String) {
        self.notes.push(sentence);
    }

    fn median(
        &self,
        workload: &'static str,
        measure: Measure,
        subject: &'static str,
    ) -> Option<f64> {
        self.rounds
            .get(&(workload, measure, subject))
            .and_then(|v| median(v))
    }

    /// What a subject adds to another, round by round.
    fn added(
        &self,
        workload: &'static str,
        measure: Measure,
        (base, subject): (&'static str, &'static str),
    ) -> Option<f64> {
        let direct = self.rounds.get(&(workload, measure, base))?;
        let own = self.rounds.get(&(workload, measure, subject))?;
        let differences: Vec<f64> = own.iter().zip(direct).map(|(o, d)| o - d).collect();
        median(&differences)
    }

    /// How the gateway stands to nginx, in words of the measure.
    fn comparison(&self, workload: &Workload, measure: Measure) -> Option<String> {
        let gateway = self.median(workload.name, measure, "gateway")?;
        if let Some(plain) = self.median(workload.name, measure, "plain") {
            let added = self.added(workload.name, measure, ("plain", "gateway"))?;
            return Some(format!("{added:+.2} to the plain {}", short(plain)));
        }
        let nginx = self.median(workload.peer(), measure, "nginx")?;
        Some(match measure.is_latency() {
            true => format!("{:+.0} us", gateway - nginx),
            false => format!("{:.2} x", gateway / nginx),
        })
    }

    pub(super) fn markdown(&self) -> String {
        let mut out = String::from(
            "| workload | measure | direct | nginx | gateway | gateway to nginx | goal |\n|---|---|--:|--:|--:|--:|---|\n",
        );
        let cell = |v: Option<f64>| v.map_or_else(|| "-".to_owned(), short);
        for workload in &WORKLOADS {
            for (measure, goal) in workload.measures {
                let values = SUBJECTS.map(|s| self.median(workload.name, *measure, s));
                if values.iter().all(Option::is_none) {
                    continue;
                }
                let shown: Vec<String> = SUBJECTS
                    .iter()
                    .zip(values)
                    .map(
                        |(s, v)| match self.added(workload.name, *measure, ("direct", s)) {
                            Some(added) if measure.is_latency() && *s != "direct" => {
                                format!("{} ({added:+.0})", cell(v))
                            }
                            Some(_) | None => cell(v),
                        },
                    )
                    .collect();
                let compared = self
                    .comparison(workload, *measure)
                    .unwrap_or_else(|| "-".to_owned());
                out.push_str(&format!(
                    "| {}: {} | {} | {} | {compared} | {goal} |\n",
                    workload.name,
                    workload.what,
                    measure.title(),
                    shown.join(" | ")
                ));
            }
        }
        for (title, pick) in [
            ("resident memory idle, MiB", 0),
            ("resident memory 2 s after chat-1k, MiB", 1),
        ] {
            let of = |name: &str| {
                self.memory
                    .iter()
                    .find(|m| m.0 == name)
                    .map(|m| if pick == 0 { m.1 } else { m.2 } / 1024.0)
            };
            if !self.memory.is_empty() {
                let goal = if pick == 0 {
                    "<= 12 MiB"
                } else {
                    "<= 1.5 x idle"
                };
                out.push_str(&format!(
                    "| memory | {title} | - | {} | {} | - | {goal} |\n",
                    cell(of("nginx")),
                    cell(of("gateway"))
                ));
            }
        }
        out.push_str("\nIn brackets: added to direct, the median of the rounds.\n\n");
        for note in &self.notes {
            out.push_str(&format!("- {note}\n"));
        }
        out.push_str(&self.conditions.join("\n"));
        out.push('\n');
        out
    }

    pub(super) fn json(&self) -> Value {
        let mut workloads = Map::new();
        for workload in &WORKLOADS {
            for (measure, goal) in workload.measures {
                let subjects: Map<String, Value> = SUBJECTS
                    .iter()
                    .chain(&["plain"])
                    .filter_map(|s| {
                        let rounds = self.rounds.get(&(workload.name, *measure, *s))?;
                        Some((
                            (*s).to_owned(),
                            json!({"median": median(rounds), "rounds": rounds}),
                        ))
                    })
                    .collect();
                if !subjects.is_empty() {
                    let row = workloads.entry(workload.name).or_insert_with(|| json!({}));
                    row[measure.title()] = json!({"subjects": subjects, "goal": goal, "gateway_to_nginx": self.comparison(workload, *measure)});
                }
            }
        }
        let memory: Vec<Value> = self
            .memory
            .iter()
            .map(
                |(s, idle, after)| json!({"subject": s, "idle_kib": idle, "after_load_kib": after}),
            )
            .collect();
        json!({"conditions": self.conditions, "notes": self.notes, "workloads": workloads, "memory": memory})
    }
}

fn median(values: &[f64]) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    match sorted.len() % 2 {
        1 => sorted.get(middle).copied(),
        _ => Some((sorted.get(middle.checked_sub(1)?)? + sorted.get(middle)?) / 2.0),
    }
}

fn short(v: f64) -> String {
    match v.abs() {
        a if a >= 1000.0 => format!("{v:.0}"),
        a if a >= 100.0 => format!("{v:.1}"),
        _ => format!("{v:.2}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn medians_of_odd_even_and_no_values() {
        assert_eq!(median(&[3.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(median(&[4.0, 1.0, 2.0, 3.0]), Some(2.5));
        assert_eq!(median(&[]), None);
    }

    #[test]
    fn values_come_from_report_and_reading() {
        let report = json!({"ok": 1000, "events": 4000, "rps": 10.0, "latency_us": {"p50": 7}});
        let reading = Reading {
            cpu_seconds: 0.02,
            rss_kib: 1.0,
        };
        assert_eq!(
            value(Measure::CpuPerRequest, &report, Some(&reading)),
            Some(20.0)
        );
        assert_eq!(
            value(Measure::CpuPerEvent, &report, Some(&reading)),
            Some(5.0)
        );
        assert_eq!(value(Measure::CpuPerRequest, &report, None), None);
        assert_eq!(value(Measure::P50, &report, None), Some(7.0));
    }
}
