//! The workloads: names, sizes, loops, and the goals that the project set itself.

use super::Options;
use super::limits;
use super::plan::METADATA;
use super::subjects::Subject;
use serde_json::json;

/// How the load generator drives a workload.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Drive {
    Closed { connections: usize },
    Open { rate: f64, connections: usize },
    Hold,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Client {
    Chat,
    /// A chat client that tells metadata, in front of a generated plan; whether some of its rules
    /// are conditions.
    Policy {
        conditions: bool,
    },
    /// A chat client that tells its use case, in front of a generated plan of nested limits.
    Limited {
        counters: Counters,
    },
    /// An Anthropic client in front of an OpenAI upstream: the gateway alone can do that.
    Translated,
}

/// Where limits and budgets are counted.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Counters {
    /// In the gateway's own memory.
    Own,
    /// Together with other replicas, over a server that the bench starts.
    Shared,
}

/// What is generated beside the plain configuration.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Generated {
    /// Keys and rules of a large organisation; whether some rules are conditions.
    Policy { conditions: bool },
    /// Nested limits and budgets.
    Limits { counters: Counters },
}

#[derive(Debug)]
pub(super) struct Workload {
    pub(super) name: &'static str,
    pub(super) what: &'static str,
    pub(super) drive: Drive,
    client: Client,
    /// Size of the request body.
    prompt_bytes: usize,
    pub(super) stream: bool,
    /// Markers for the canned upstream, carried in the prompt.
    marks: &'static str,
    /// Measures that are shown, with the goal of each.
    pub(super) measures: &'static [(Measure, &'static str)],
}

/// What is taken from a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Measure {
    CpuPerRequest,
    CpuPerEvent,
    EventsPerCpuSecond,
    Rps,
    EventsPerSecond,
    P50,
    P99,
    FirstByteP50,
    FirstByteP99,
    /// Resident memory that each open stream adds.
    RssPerStream,
}

pub(super) const WORKLOADS: [Workload; 15] = [
    Workload {
        name: "chat-1k",
        what: "1 KB chat, 64 connections",
        drive: Drive::Closed { connections: 64 },
        client: Client::Chat,
        prompt_bytes: 1024,
        stream: false,
        marks: "",
        measures: &[
            (Measure::CpuPerRequest, "<= 1.7 x nginx"),
            (Measure::Rps, ""),
            (Measure::P50, ""),
            (Measure::P99, ""),
        ],
    },
    Workload {
        name: "chat-32k",
        what: "32 KB prompt, 64 connections",
        drive: Drive::Closed { connections: 64 },
        client: Client::Chat,
        prompt_bytes: 32 * 1024,
        stream: false,
        marks: "",
        measures: &[
            (Measure::CpuPerRequest, "<= 1.2 x nginx"),
            (Measure::Rps, ""),
        ],
    },
    Workload {
        name: "chat-1m",
        what: "1 MB prompt, 8 connections",
        drive: Drive::Closed { connections: 8 },
        client: Client::Chat,
        prompt_bytes: 1024 * 1024,
        stream: false,
        marks: "",
        measures: &[
            (Measure::CpuPerRequest, "<= 1.5 x nginx"),
            (Measure::Rps, ""),
        ],
    },
    Workload {
        name: "stream-64",
        what: "stream of 64 chunks at full speed, 32 connections",
        drive: Drive::Closed { connections: 32 },
        client: Client::Chat,
        prompt_bytes: 1024,
        stream: true,
        marks: "",
        measures: &[
            (Measure::CpuPerRequest, "<= 1.3 x nginx"),
            (Measure::EventsPerCpuSecond, ""),
            (Measure::EventsPerSecond, ""),
        ],
    },
    Workload {
        name: "stream-paced",
        what: "stream of 64 chunks, 5 ms apart, 64 connections",
        drive: Drive::Closed { connections: 64 },
        client: Client::Chat,
        prompt_bytes: 1024,
        stream: true,
        marks: "[pace=5]",
        measures: &[
            (Measure::CpuPerEvent, "<= 1.2 x nginx"),
            (Measure::EventsPerSecond, ""),
        ],
    },
    Workload {
        name: "open-500",
        what: "1 KB chat, open loop at 500 requests/s",
        drive: Drive::Open {
            rate: 500.0,
            connections: 16,
        },
        client: Client::Chat,
        prompt_bytes: 1024,
        stream: false,
        marks: "",
        measures: &[
            (Measure::P50, "<= nginx + 40 us"),
            (Measure::P99, "<= nginx + 200 us"),
        ],
    },
    Workload {
        name: "ttft",
        what: "streams begun at 100 a second: time to first byte of the body",
        drive: Drive::Open {
            rate: 100.0,
            connections: 16,
        },
        client: Client::Chat,
        prompt_bytes: 1024,
        stream: true,
        marks: "[pace=1]",
        measures: &[(Measure::FirstByteP50, ""), (Measure::FirstByteP99, "")],
    },
    Workload {
        name: "saturation",
        what: "1 KB chat, 256 connections",
        drive: Drive::Closed { connections: 256 },
        client: Client::Chat,
        prompt_bytes: 1024,
        stream: false,
        marks: "",
        measures: &[(Measure::Rps, ""), (Measure::P99, "")],
    },
    Workload {
        name: "translated-1k",
        what: "Anthropic client, OpenAI upstream, 1 KB, 64 connections",
        drive: Drive::Closed { connections: 64 },
        client: Client::Translated,
        prompt_bytes: 1024,
        stream: false,
        marks: "",
        measures: &[
            (Measure::CpuPerRequest, "<= 3 x nginx chat-1k"),
            (Measure::Rps, ""),
        ],
    },
    Workload {
        name: "translated-stream-64",
        what: "Anthropic client, OpenAI upstream, stream of 64 chunks, 32 connections",
        drive: Drive::Closed { connections: 32 },
        client: Client::Translated,
        prompt_bytes: 1024,
        stream: true,
        marks: "",
        measures: &[
            (Measure::CpuPerRequest, ""),
            (Measure::EventsPerCpuSecond, ""),
        ],
    },
    Workload {
        name: "policy",
        what: "1 KB chat under 10,000 keys and 1,000 rules, 25 for the call",
        drive: Drive::Closed { connections: 64 },
        client: Client::Policy { conditions: false },
        prompt_bytes: 1024,
        stream: false,
        marks: "",
        measures: &[
            (Measure::CpuPerRequest, "a few us more"),
            (Measure::Rps, ""),
        ],
    },
    Workload {
        name: "policy-cel",
        what: "the same with two conditions",
        drive: Drive::Closed { connections: 64 },
        client: Client::Policy { conditions: true },
        prompt_bytes: 1024,
        stream: false,
        marks: "",
        measures: &[(Measure::CpuPerRequest, ""), (Measure::Rps, "")],
    },
    Workload {
        name: "limits-5",
        what: "1 KB chat under five nested scopes, each with two limits and a budget",
        drive: Drive::Closed { connections: 64 },
        client: Client::Limited {
            counters: Counters::Own,
        },
        prompt_bytes: 1024,
        stream: false,
        marks: "",
        measures: &[
            (Measure::CpuPerRequest, ""),
            (Measure::Rps, ""),
            (Measure::P99, ""),
        ],
    },
    Workload {
        name: "limits-5-valkey",
        what: "the same, counted together with other replicas (the server's CPU is not counted)",
        drive: Drive::Closed { connections: 64 },
        client: Client::Limited {
            counters: Counters::Shared,
        },
        prompt_bytes: 1024,
        stream: false,
        marks: "",
        measures: &[
            (Measure::CpuPerRequest, ""),
            (Measure::Rps, ""),
            (Measure::P99, ""),
        ],
    },
    Workload {
        name: "memory",
        what: "slow streams held open",
        drive: Drive::Hold,
        client: Client::Chat,
        prompt_bytes: 1024,
        stream: true,
        marks: "[pace=2000][chunks=1000]",
        measures: &[(Measure::RssPerStream, "<= 30 KiB")],
    },
];

/// The load under which a plan is loaded again.
pub(super) const UNDER_RELOAD: Workload = Workload {
    name: "reload",
    what: "1 KB chat at 200 requests/s while the plan is loaded again",
    drive: Drive::Open {
        rate: 200.0,
        connections: 8,
    },
    client: Client::Policy { conditions: false },
    prompt_bytes: 1024,
    stream: false,
    marks: "",
    measures: &[],
};

impl Workload {
    /// What is generated for it, if the gateway runs with more than the plain configuration.
    pub(super) fn generated(&self) -> Option<Generated> {
        match self.client {
            Client::Policy { conditions } => Some(Generated::Policy { conditions }),
            Client::Limited { counters } => Some(Generated::Limits { counters }),
            Client::Chat | Client::Translated => None,
        }
    }

    /// Why it cannot run on this machine; `None` if it can.
    pub(super) fn missing(&self) -> Option<String> {
        match self.generated()? {
            Generated::Policy { .. } => None,
            Generated::Limits { counters } => limits::missing(counters),
        }
    }

    pub(super) fn is_memory(&self) -> bool {
        self.drive == Drive::Hold
    }

    pub(super) fn runs_on(&self, subject: &Subject) -> bool {
        let needs_proxy = self.is_memory();
        match self.client {
            Client::Translated => subject.name == "gateway",
            Client::Chat | Client::Policy { .. } | Client::Limited { .. } => {
                !needs_proxy || subject.is_proxy()
            }
        }
    }

    /// The workload whose nginx figure a translated one is compared with.
    pub(super) fn peer(&self) -> &'static str {
        match (self.client, self.stream) {
            (Client::Chat | Client::Policy { .. } | Client::Limited { .. }, _) => self.name,
            (Client::Translated, false) => "chat-1k",
            (Client::Translated, true) => "stream-64",
        }
    }

    pub(super) fn path(&self) -> &'static str {
        match self.client {
            Client::Chat | Client::Policy { .. } | Client::Limited { .. } => "/v1/chat/completions",
            Client::Translated => "/v1/messages",
        }
    }

    pub(super) fn headers(&self, options: &Options, subject: &Subject) -> Vec<String> {
        let mut out = vec![format!("authorization: Bearer {}", options.key)];
        match self.client {
            Client::Chat => {}
            // The plain configuration wants no metadata: that they are read counts as policy.
            Client::Policy { .. } | Client::Limited { .. } if subject.name == "plain" => {}
            Client::Limited { .. } => out.push(limits::METADATA.to_owned()),
            Client::Policy { .. } => out.extend(METADATA.map(str::to_owned)),
            Client::Translated => out.push("anthropic-version: 2026-10-21".to_owned()),
        }
        out
    }

    /// The request body, padded to its size.
    pub(super) fn body(&self, options: &Options) -> String {
        let build = |padding: &str| {
            let text = format!("{} Tell me something about this. {padding}", self.marks);
            let messages = json!([{"role": "user", "content": text}]);
            let mut body = match self.client {
                Client::Chat | Client::Policy { .. } | Client::Limited { .. } => {
                    json!({"model": options.model, "messages": [
                    {"role": "system", "content": "You are a helpful assistant."}, messages[0],
                ], "temperature": 0.7})
                }
                Client::Translated => json!({"model": options.translated_model, "max_tokens": 1024,
                    "system": "You are a helpful assistant.", "messages": messages}),
            };
            if self.stream {
                body["stream"] = json!(true);
            }
            if self.stream && self.client == Client::Chat {
                body["stream_options"] = json!({"include_usage": true});
            }
            body.to_string()
        };
        let bare = build("").len();
        let words = "lorem ipsum dolor sit amet ";
        let padding: String = words
            .chars()
            .cycle()
            .take(self.prompt_bytes.saturating_sub(bare))
            .collect();
        build(&padding)
    }
}

impl Measure {
    pub(super) fn title(self) -> &'static str {
        match self {
            Measure::CpuPerRequest => "CPU per request, us",
            Measure::CpuPerEvent => "CPU per event, us",
            Measure::EventsPerCpuSecond => "events per CPU second",
            Measure::Rps => "requests/s",
            Measure::EventsPerSecond => "events/s",
            Measure::P50 => "p50, us",
            Measure::P99 => "p99, us",
            Measure::FirstByteP50 => "first byte p50, us",
            Measure::FirstByteP99 => "first byte p99, us",
            Measure::RssPerStream => "memory per open stream, KiB",
        }
    }

    /// Latencies are compared by what a proxy adds to direct; the rest by ratio.
    pub(super) fn is_latency(self) -> bool {
        match self {
            Measure::P50 | Measure::P99 | Measure::FirstByteP50 | Measure::FirstByteP99 => true,
            Measure::CpuPerRequest
            | Measure::CpuPerEvent
            | Measure::EventsPerCpuSecond
            | Measure::Rps
            | Measure::EventsPerSecond
            | Measure::RssPerStream => false,
        }
    }
}
