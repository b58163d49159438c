//! The metrics as OpenMetrics text.
//!
//! Deliberately not here: counting.

use std::fmt::Error;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use contract::FaultKind;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, MetricEncoder, text};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::exemplar::Exemplar;
use prometheus_client::registry::Registry;
use store::{Health, process};

use super::family::Labels;
use super::{
    Calls, Meter, ORIGINS, OUTCOMES, SOURCES, STATUS_CLASSES, STATUSES, TOKEN_CLASSES, Used,
};
use crate::histogram::Histogram;
use crate::sides::{End, Side};

/// Content type of [`Meter::render`].
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

type NoExemplar = Exemplar<Labels, f64>;

pub(super) fn render(meter: &Arc<Meter>) -> String {
    let mut registry = Registry::default();
    registry.register_collector(Box::new(View(meter.clone())));
    let mut out = String::new();
    text::encode(&mut out, &registry).expect("writing to a string cannot fail");
    out
}

#[derive(Debug)]
struct View(Arc<Meter>);

impl Collector for View {
    fn encode(&self, encoder: DescriptorEncoder) -> Result<(), Error> {
        let mut page = Page { encoder };
        page.exchanges(&self.0)?;
        page.overflow(&self.0)?;
        page.plan(&self.0)?;
        page.rollout(&self.0)?;
        page.journal(&self.0)?;
        page.inflight(&self.0)?;
        page.index(&self.0)?;
        page.watched(&self.0)?;
        page.process()
    }
}

struct Page<'a> {
    encoder: DescriptorEncoder<'a>,
}

impl Page<'_> {
    fn exchanges(&mut self, meter: &Meter) -> Result<(), Error> {
        let mut requests = self.counter("tollgate_requests", "Exchanges finished, by status")?;
        for (labels, member) in meter.requests.members() {
            for (at, count) in member.0.iter().enumerate() {
                let labels = with(&labels, "status", status_label(at));
                count_seen(&mut requests, labels, count.load(Relaxed))?;
            }
        }
        let mut faults = self.counter("tollgate_faults", "Exchanges that ended in a fault")?;
        for (kind, row) in FaultKind::ALL.iter().zip(&meter.faults) {
            for (origin, count) in ORIGINS.iter().zip(row) {
                let labels = vec![
                    ("kind", kind.name().to_owned()),
                    ("origin", origin.name().to_owned()),
                ];
                count_seen(&mut faults, labels, count.load(Relaxed))?;
            }
        }
        let mut outcomes = self.counter("tollgate_outcomes", "Exchanges by how they ended")?;
        for (outcome, count) in OUTCOMES.iter().zip(&meter.outcomes) {
            let labels = vec![("outcome", outcome.name().to_owned())];
            count_seen(&mut outcomes, labels, count.load(Relaxed))?;
        }
        self.tokens(meter)?;
        self.usage(meter)?;
        let help = "Time from arrival to the last byte";
        self.calls("tollgate_request_duration_seconds", help, meter, |calls| {
            &calls.duration
        })?;
        let help = "Time from arrival to the first token";
        let name = "tollgate_time_to_first_token_seconds";
        self.calls(name, help, meter, |calls| &calls.first_token)?;
        let help = "The gateway's own time of an exchange";
        let mut overhead = self.metric("tollgate_overhead_seconds", help, MetricType::Histogram)?;
        for (labels, member) in meter.overhead.members() {
            histogram(&mut overhead, &labels, &member.0)?;
        }
        let in_flight = meter.in_flight.load(Relaxed);
        self.gauge(
            "tollgate_in_flight",
            "Exchanges under way",
            in_flight as f64,
        )?;
        let streams = meter.open_streams.load(Relaxed);
        self.gauge(
            "tollgate_open_streams",
            "Answers being streamed",
            streams as f64,
        )
    }

    fn tokens(&mut self, meter: &Meter) -> Result<(), Error> {
        let mut tokens = self.counter("tollgate_tokens", "Tokens by disjoint class")?;
        for (labels, member) in meter.tokens.members() {
            for (class, count) in TOKEN_CLASSES.iter().zip(&member.0) {
                count_seen(
                    &mut tokens,
                    with(&labels, "class", *class),
                    count.load(Relaxed),
                )?;
            }
        }
        self.used("tenant", "tenant", meter.tenants.members())?;
        self.used("use_case", "use case", meter.use_cases.members())
    }

    fn usage(&mut self, meter: &Meter) -> Result<(), Error> {
        let help = "Exchanges with an upstream call, by where their usage comes from";
        let mut usages = self.counter("tollgate_usage", help)?;
        for (source, count) in SOURCES.iter().zip(&meter.usages) {
            let labels = vec![("source", source.name().to_owned())];
            count_seen(&mut usages, labels, count.load(Relaxed))?;
        }
        let help = "Exchanges whose provider told figures of usage that are none";
        let mut flawed = self.counter("tollgate_usage_flawed", help)?;
        flawed.encode_counter(&meter.flawed.load(Relaxed), None::<&NoExemplar>)
    }

    fn used(
        &mut self,
        name: &str,
        by: &str,
        members: Vec<(Labels, Arc<Used>)>,
    ) -> Result<(), Error> {
        let named = format!("tollgate_{name}_requests");
        let mut requests = self.counter(&named, &format!("Exchanges by {by}"))?;
        for (labels, member) in &members {
            count_seen(&mut requests, labels.clone(), member.requests.load(Relaxed))?;
        }
        let named = format!("tollgate_{name}_tokens");
        let mut tokens = self.counter(&named, &format!("Tokens by {by}"))?;
        for (labels, member) in &members {
            let input = member.tokens_in.load(Relaxed);
            count_seen(&mut tokens, with(labels, "direction", "input"), input)?;
            let output = member.tokens_out.load(Relaxed);
            count_seen(&mut tokens, with(labels, "direction", "output"), output)?;
        }
        Ok(())
    }

    fn calls(
        &mut self,
        name: &str,
        help: &str,
        meter: &Meter,
        pick: impl Fn(&Calls) -> &Histogram,
    ) -> Result<(), Error> {
        let mut metric = self.metric(name, help, MetricType::Histogram)?;
        for (labels, member) in meter.calls.members() {
            histogram(&mut metric, &labels, pick(&member))?;
        }
        Ok(())
    }

    fn overflow(&mut self, meter: &Meter) -> Result<(), Error> {
        let help = "Label sets counted under 'other' because a family was full";
        let mut overflow = self.counter("tollgate_metric_overflow", help)?;
        for (family, count) in [
            ("requests", meter.requests.overflowed()),
            ("request_duration", meter.calls.overflowed()),
            ("overhead", meter.overhead.overflowed()),
            ("tokens", meter.tokens.overflowed()),
            ("tenants", meter.tenants.overflowed()),
            ("use_cases", meter.use_cases.overflowed()),
            ("policy", meter.policy.overflowed()),
        ] {
            count_all(&mut overflow, vec![("family", family.to_owned())], count)?;
        }
        Ok(())
    }

    fn plan(&mut self, meter: &Meter) -> Result<(), Error> {
        let plan = meter.watched().plan.clone();
        if let Some(digest) = plan {
            let mut info = self.metric("tollgate_plan", "The plan in force", MetricType::Info)?;
            info.encode_info(&vec![("digest", digest)])?;
        }
        let mut reloads = self.counter("tollgate_reloads", "Reloads of the plan by outcome")?;
        for (labels, member) in meter.reloads.members() {
            count_all(&mut reloads, labels, member.load(Relaxed))?;
        }
        let mut policy =
            self.counter("tollgate_policy_breaches", "Policy rules that were broken")?;
        for (labels, member) in meter.policy.members() {
            count_all(&mut policy, labels, member.load(Relaxed))?;
        }
        let help = "Calls with an idempotency key, by what came of it";
        let mut idempotency = self.counter("tollgate_idempotency", help)?;
        for (labels, member) in meter.idempotency.members() {
            count_all(&mut idempotency, labels, member.load(Relaxed))?;
        }
        let mut build = self.metric("tollgate_build", "The running build", MetricType::Info)?;
        build.encode_info(&vec![("version", env!("CARGO_PKG_VERSION"))])
    }

    fn rollout(&mut self, meter: &Meter) -> Result<(), Error> {
        let rollout = meter.watched().rollout.clone();
        if let Some((candidate, share)) = rollout {
            let help = "Share of the callers that a roll-out holds to its candidate, 0 to 1";
            let name = "tollgate_plan_rollout_share";
            let mut gauge = self.metric(name, help, MetricType::Gauge)?;
            gauge
                .encode_family(&vec![("candidate", candidate)])?
                .encode_gauge(&share)?;
        }
        let help = "Calls while a roll-out is on, by the plan they ran under and how they ended";
        let mut calls = self.counter("tollgate_plan_calls", help)?;
        for (side, counts) in Side::ALL.iter().zip(&meter.plan_calls) {
            for (end, count) in End::ALL.iter().zip(counts) {
                let labels = vec![
                    ("side", side.name().to_owned()),
                    ("outcome", end.name().to_owned()),
                ];
                count_seen(&mut calls, labels, count.load(Relaxed))?;
            }
        }
        let mut ended = self.counter("tollgate_plan_rollouts", "Roll-outs by how they ended")?;
        for (labels, member) in meter.rollouts.members() {
            count_all(&mut ended, labels, member.load(Relaxed))?;
        }
        Ok(())
    }

    fn journal(&mut self, meter: &Meter) -> Result<(), Error> {
        let (journal, lines) = {
            let watched = meter.watched();
            (watched.journal.clone(), watched.lines.clone())
        };
        if let Some(journal) = journal {
            let health = journal.health();
            self.journal_now(&health)?;
            self.journal_counts(&health)?;
        }
        if let Some(lines) = lines {
            let help = "Log lines dropped because the output was too slow";
            let mut dropped = self.counter("tollgate_log_lines_dropped", help)?;
            dropped.encode_counter(&lines.dropped(), None::<&NoExemplar>)?;
        }
        Ok(())
    }

    fn journal_now(&mut self, health: &Health) -> Result<(), Error> {
        for (name, help, value) in [
            ("queued", "Records that wait to be written", health.queued()),
            (
                "queued_bytes",
                "Bytes that wait to be written",
                health.queued_bytes,
            ),
            (
                "slots_in_use",
                "Record slots that are taken",
                health.slots_in_use,
            ),
            ("slots_max", "Limit of record slots", health.slots_max),
            (
                "head",
                "Sequence of the last record written",
                health.written,
            ),
            (
                "failing",
                "1 while writes fail",
                u64::from(health.failing.is_some()),
            ),
        ] {
            self.gauge(&format!("tollgate_journal_{name}"), help, value as f64)?;
        }
        Ok(())
    }

    fn journal_counts(&mut self, health: &Health) -> Result<(), Error> {
        for (name, help, value) in [
            (
                "errors",
                "Writes that failed and were retried",
                health.errors,
            ),
            (
                "refused",
                "Exchanges refused for want of a slot",
                health.refused,
            ),
            (
                "abandoned",
                "Slots dropped without a record",
                health.abandoned,
            ),
            (
                "clipped",
                "Records cut to the payload limit",
                health.clipped,
            ),
            (
                "lost",
                "Records sent after the close",
                health.lost_after_close,
            ),
            ("written_bytes", "Bytes written", health.bytes_written),
        ] {
            let name = format!("tollgate_journal_{name}");
            let mut metric = self.counter(&name, help)?;
            metric.encode_counter(&value, None::<&NoExemplar>)?;
        }
        Ok(())
    }

    fn inflight(&mut self, meter: &Meter) -> Result<(), Error> {
        let Some(health) = meter.inflight() else {
            return Ok(());
        };
        for (name, help, value) in [
            ("rows", "Rows of exchanges under way", health.rows),
            (
                "rows_ending",
                "Rows of ended exchanges that the journal has not written yet",
                health.ending,
            ),
            ("rows_max", "Limit of both kinds of rows", health.slots_max),
        ] {
            self.gauge(&format!("tollgate_inflight_{name}"), help, value as f64)?;
        }
        let recovered = meter.recovered.load(Relaxed);
        for (name, help, value) in [
            ("errors", "Rows that could not be written", health.errors),
            (
                "refused",
                "Rows refused because none was free or they were too long",
                health.refused,
            ),
            (
                "dropped",
                "Rows whose exchange ended without a word",
                health.dropped,
            ),
            (
                "recovered",
                "Records written for a process that died",
                recovered,
            ),
        ] {
            let name = format!("tollgate_inflight_{name}");
            let mut metric = self.counter(&name, help)?;
            metric.encode_counter(&value, None::<&NoExemplar>)?;
        }
        Ok(())
    }

    fn index(&mut self, meter: &Meter) -> Result<(), Error> {
        let index = meter.watched().index.clone();
        let Some(index) = index else { return Ok(()) };
        let status = index.status();
        let lag = "Records that the index has not seen yet";
        self.gauge("tollgate_index_lag", lag, status.lag() as f64)?;
        let failing = f64::from(u8::from(status.error.is_some()));
        self.gauge("tollgate_index_failing", "1 while indexing fails", failing)?;
        let help = "Records that the index could not read";
        let mut unread = self.counter("tollgate_index_undecodable", help)?;
        unread.encode_counter(&status.undecodable, None::<&NoExemplar>)
    }

    fn watched(&mut self, meter: &Meter) -> Result<(), Error> {
        let gauges = meter.watched().gauges.clone();
        for gauge in gauges {
            let mut metric = self.metric(gauge.name, gauge.help, MetricType::Gauge)?;
            for sample in (gauge.read)() {
                // One without labels has no braces either.
                match sample.labels.is_empty() {
                    true => metric.encode_gauge(&sample.value)?,
                    false => metric
                        .encode_family(&sample.labels)?
                        .encode_gauge(&sample.value)?,
                }
            }
        }
        Ok(())
    }

    fn process(&mut self) -> Result<(), Error> {
        let facts = process::facts();
        for (name, help, value) in [
            (
                "resident_memory_bytes",
                "Resident memory",
                facts.resident_bytes,
            ),
            ("open_fds", "Open file descriptors", facts.open_fds),
        ] {
            if let Some(value) = value {
                self.gauge(&format!("process_{name}"), help, value as f64)?;
            }
        }
        if let Some(ms) = facts.started_unix_ms {
            let help = "Start time since the Unix epoch";
            self.gauge("process_start_time_seconds", help, ms as f64 / 1e3)?;
        }
        if let Some(ms) = facts.cpu_ms {
            let help = "CPU time, user and system";
            let mut cpu = self.counter("process_cpu_seconds", help)?;
            cpu.encode_counter(&(ms as f64 / 1e3), None::<&NoExemplar>)?;
        }
        Ok(())
    }

    fn counter<'s>(&'s mut self, name: &'s str, help: &str) -> Result<MetricEncoder<'s>, Error> {
        self.metric(name, help, MetricType::Counter)
    }

    fn gauge(&mut self, name: &str, help: &str, value: f64) -> Result<(), Error> {
        self.metric(name, help, MetricType::Gauge)?
            .encode_gauge(&value)
    }

    fn metric<'s>(
        &'s mut self,
        name: &'s str,
        help: &str,
        kind: MetricType,
    ) -> Result<MetricEncoder<'s>, Error> {
        self.encoder.encode_descriptor(name, help, None, kind)
    }
}

/// A counter of a family, left out while it is zero.
fn count_seen(metric: &mut MetricEncoder, labels: Labels, count: u64) -> Result<(), Error> {
    if count > 0 {
        count_all(metric, labels, count)?;
    }
    Ok(())
}

fn count_all(metric: &mut MetricEncoder, labels: Labels, count: u64) -> Result<(), Error> {
    let mut member = metric.encode_family(&labels)?;
    member.encode_counter(&count, None::<&NoExemplar>)
}

fn histogram(
    metric: &mut MetricEncoder,
    labels: &Labels,
    histogram: &Histogram,
) -> Result<(), Error> {
    let now = histogram.snapshot();
    if now.count > 0 {
        let mut member = metric.encode_family(labels)?;
        member.encode_histogram::<Labels>(now.sum_s, now.count, &now.buckets, None)?;
    }
    Ok(())
}

fn with(labels: &Labels, name: &'static str, value: impl Into<String>) -> Labels {
    let mut labels = labels.clone();
    labels.push((name, value.into()));
    labels
}

fn status_label(at: usize) -> String {
    match STATUSES.get(at) {
        Some(status) => status.to_string(),
        None => STATUS_CLASSES[at - STATUSES.len()].to_owned(),
    }
}
