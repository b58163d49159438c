//! What the checks are told: the plan of the house as data. A change here is a change of the plan
//! and needs its reason in the commit.

/// Where these tables live; checks that look for stale rows do so only in a house that has them.
pub(super) const TABLE: &str = "xtask/src/tidy/table.rs";

/// Which rooms each room may import. `contract` is the shared vocabulary and open to all others,
/// so it is listed only where it is the whole list. `*`: every room, but no annex.
pub(super) const ROOMS: &[(&str, &[&str])] = &[
    ("contract", &[]),
    ("dialects", &["contract"]),
    ("providers", &["contract", "dialects"]),
    ("access", &["contract"]),
    ("meter", &["contract"]),
    ("guards", &["contract"]),
    ("routing", &["contract"]),
    ("store", &["contract"]),
    ("store-remote", &["contract", "store"]),
    ("transport", &["contract"]),
    ("evidence", &["contract", "store"]),
    (
        "plan",
        &[
            "contract",
            "providers",
            "access",
            "meter",
            "guards",
            "routing",
        ],
    ),
    (
        "judge",
        &[
            "contract",
            "plan",
            "providers",
            "access",
            "meter",
            "guards",
            "routing",
        ],
    ),
    (
        "flow",
        &[
            "contract",
            "judge",
            "dialects",
            "providers",
            "store",
            "evidence",
            "plan",
        ],
    ),
    (
        "insight",
        &["contract", "judge", "evidence", "plan", "store"],
    ),
    ("admin", &["contract", "flow", "insight", "plan", "store"]),
    ("cli", &["contract"]),
    ("gate", &["*"]),
];

/// Crates beside the rooms. They may import any room; no room imports them.
pub(super) const ANNEXES: &[&str] = &["testbed", "tollgate-sim", "xtask", "tollgate-fuzz"];

/// Rooms that only the named rooms may import, even where a row says `*`.
pub(super) const PRIVATE_ROOMS: &[(&str, &[&str])] = &[("store-remote", &["gate"])];

/// A deliberate departure from `ROOMS`.
pub(super) struct Departure {
    pub(super) room: &'static str,
    pub(super) imports: &'static str,
    /// One sentence for the reader who wonders.
    pub(super) reason: &'static str,
}

/// Departures in force. One that nothing uses is reported, so that the list cannot rot.
pub(super) const DEPARTURES: &[Departure] = &[
    Departure {
        room: "plan",
        imports: "dialects",
        reason: "A compiled plan holds resolved dialects, so the path does no look-up by name.",
    },
    Departure {
        room: "judge",
        imports: "dialects",
        reason: "The shape of a model list lives with the formats that write it.",
    },
    Departure {
        room: "flow",
        imports: "access",
        reason: "The exchange holds who is calling; decisions still come from judge.",
    },
    Departure {
        room: "flow",
        imports: "meter",
        reason: "The exchange holds what it reserved until it settles it.",
    },
    Departure {
        room: "flow",
        imports: "routing",
        reason: "An attempt is made for a candidate; decisions still come from judge.",
    },
    Departure {
        room: "insight",
        imports: "meter",
        reason: "Reports show counters, and price history under other prices.",
    },
    Departure {
        room: "store-remote",
        imports: "meter",
        reason: "Shared counters stand behind the seam of meter and take its words.",
    },
    Departure {
        room: "admin",
        imports: "evidence",
        reason: "The admin API shows records and metrics, whose formats evidence owns.",
    },
];

/// What a room may touch of the outside world (law 1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Touch {
    Socket,
    Disk,
    Clock,
    Dice,
    Process,
    Task,
}

/// Rooms with a grant; every other room has none.
pub(super) const IO_ROOMS: &[(&str, &[Touch])] = &[
    ("transport", ALL_TOUCHES),
    ("store", ALL_TOUCHES),
    ("store-remote", ALL_TOUCHES),
    ("gate", ALL_TOUCHES),
    // The command line speaks to the admin API and reads and writes files it is pointed at.
    ("cli", &[Touch::Socket, Touch::Disk, Touch::Process]),
];

const ALL_TOUCHES: &[Touch] = &[
    Touch::Socket,
    Touch::Disk,
    Touch::Clock,
    Touch::Dice,
    Touch::Process,
    Touch::Task,
];

/// Paths that touch the world. A pattern matches a path that starts with it; a pattern that
/// begins with `..` matches a path that ends with the rest.
pub(super) const TOUCHES: &[(&str, Touch)] = &[
    ("std::net", Touch::Socket),
    ("tokio::net", Touch::Socket),
    ("std::os::unix::net", Touch::Socket),
    ("socket2", Touch::Socket),
    ("std::fs", Touch::Disk),
    ("tokio::fs", Touch::Disk),
    ("..Instant::now", Touch::Clock),
    ("..SystemTime::now", Touch::Clock),
    ("rand", Touch::Dice),
    ("getrandom", Touch::Dice),
    ("fastrand", Touch::Dice),
    ("std::process", Touch::Process),
    ("tokio::process", Touch::Process),
    ("tokio::spawn", Touch::Task),
    ("tokio::task::spawn", Touch::Task),
    ("tokio::task::spawn_blocking", Touch::Task),
    ("tokio::task::spawn_local", Touch::Task),
];

/// Values that live beside what touches the world, but touch nothing themselves.
pub(super) const PLAIN_VALUES: &[&str] = &[
    "std::net::IpAddr",
    "std::net::Ipv4Addr",
    "std::net::Ipv6Addr",
    "std::net::SocketAddr",
    "std::net::SocketAddrV4",
    "std::net::SocketAddrV6",
    "std::net::AddrParseError",
    "std::process::ExitCode",
];

/// A vendor and the words that name it, in lower case. A word also tells the vendor's own file or
/// folder below `crates/dialects/src` and `crates/providers/src`.
pub(super) struct Vendor {
    pub(super) words: &'static [&'static str],
    /// Sells the models of others under its own address: its file below `crates/providers/src` may
    /// name them, because their names are part of its model ids and paths.
    pub(super) hosts_others: bool,
}

impl Vendor {
    const fn alone(words: &'static [&'static str]) -> Vendor {
        Vendor {
            words,
            hosts_others: false,
        }
    }

    const fn host(words: &'static [&'static str]) -> Vendor {
        Vendor {
            words,
            hosts_others: true,
        }
    }
}

/// Vendors of law 5. `sandbox` is ours and not a vendor.
pub(super) const VENDORS: &[Vendor] = &[
    Vendor::alone(&["openai", "chatgpt"]),
    Vendor::alone(&["anthropic", "claude"]),
    Vendor::host(&["gemini", "google", "vertex"]),
    Vendor::host(&["bedrock", "amazon", "sigv4", "aws"]),
    Vendor::host(&["azure"]),
    Vendor::alone(&["mistral"]),
    Vendor::alone(&["deepseek"]),
    Vendor::alone(&["dashscope", "qwen"]),
    Vendor::alone(&["ollama"]),
    Vendor::alone(&["vllm"]),
    Vendor::alone(&["llama.cpp", "llamacpp", "llama_cpp"]),
    Vendor::alone(&["cohere"]),
    Vendor::alone(&["groq"]),
    Vendor::host(&["openrouter"]),
    Vendor::host(&["fireworks"]),
    Vendor::alone(&["perplexity"]),
    Vendor::alone(&["moonshot"]),
    Vendor::alone(&["zhipu", "bigmodel"]),
];

/// Names that hold a vendor's word and mean something else.
pub(super) const NOT_VENDORS: &[&str] = &["aws-lc-rs", "aws_lc_rs", "aws-lc", "aws_lc"];

/// A place that may name vendors although it is not their file.
pub(super) struct VendorGrant {
    /// A file, or a folder when it ends in `/`.
    pub(super) path: &'static str,
    /// Words from `VENDORS` the place may use; empty: all.
    pub(super) words: &'static [&'static str],
    pub(super) reason: &'static str,
}

/// Grants in force. One that nothing uses is reported.
pub(super) const VENDOR_GRANTS: &[VendorGrant] = &[
    VendorGrant {
        path: "crates/access/src/credential.rs",
        words: &["aws", "bedrock"],
        reason: "tells a caller whose SDK signs which variable takes a bearer key instead",
    },
    VendorGrant {
        path: "crates/gate/src/banner.rs",
        words: &["openai", "anthropic"],
        reason: "the first thing a newcomer reads: the line that changes in each SDK",
    },
    VendorGrant {
        path: "crates/dialects/src/framing.rs",
        words: &["amazon", "aws"],
        reason: "the registered media type of the event-stream framing carries its author's name",
    },
    VendorGrant {
        path: "crates/dialects/src/framing/event_stream.rs",
        words: &["amazon", "aws"],
        reason: "the registered media type of the event-stream framing carries its author's name",
    },
    VendorGrant {
        path: "crates/gate/src/edge/framing/names.rs",
        words: &["anthropic", "openai"],
        reason: "the one table of header names that must not come twice; SDKs put a vendor in some",
    },
    VendorGrant {
        path: "crates/gate/src/edge/framing/target.rs",
        words: &["bedrock", "aws"],
        reason: "the one path shape whose segment may hold an encoded slash",
    },
    VendorGrant {
        path: "crates/plan/src/document/provider.rs",
        words: &["aws"],
        reason: "the field of the configuration for keys of signed requests bears the signature's name",
    },
];

/// Folders of the repository that no vendor rule covers: they exist to speak as the vendors do.
pub(super) const VENDOR_FREE: &[&str] = &["testbed/", "xtask/", "fuzz/", "fixtures/"];

/// Names of modules that say nothing about what is inside.
pub(super) const EMPTY_NAMES: &[&str] = &[
    "util", "utils", "helper", "helpers", "common", "manager", "managers", "misc",
];

/// How deep below the root of a crate sibling modules are kept free of circles: 1 covers the
/// modules that the crate's face declares, 2 also their children, and so on.
pub(super) const CIRCLE_LEVELS: usize = 1;

/// Limits of size, from `CONTRIBUTING.md`.
pub(super) const FILE_LINES_MAX: usize = 600;
pub(super) const FUNCTION_LINES_MAX: usize = 70;
pub(super) const ARGUMENTS_MAX: usize = 5;

/// Folders that exist on one machine only, cut in two so that this table does not name them.
pub(super) const MACHINE_FOLDERS: &[(&str, &str)] =
    &[("/ro", "ot/"), ("/wo", "rk/"), ("/tm", "p/")];
