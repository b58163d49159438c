//! Which addresses the content of a call may name.

use std::net::IpAddr;

use schemars::JsonSchema;
use serde::Deserialize;
use url::{Host, Url};

use super::body::{self, Body};
use super::patterns;
use super::words::shown;
use crate::facts::Facts;
use crate::rule::{Finding, Kind, Rule, Streams, Wrong, schema_of, settings};

/// Longest URL that is looked at, in bytes; `data:` URLs are as long as they
/// like.
const URL_BYTES_MAX: usize = 8 * 1024;

pub(super) static KIND: Kind = Kind {
    name: "sources",
    doc: "Addresses that the content of a call may name: images, files, and links in texts. \
          `schemes` are those that may be used (default `https` and `data`, which carries its \
          content itself). `allow` and `deny` are hosts: `example.com` is that host, \
          `*.example.com` is every host below it, `*` is any host, `192.0.2.7` is an address. A \
          host must match one of `allow`, if there are any, and none of `deny`. A host that is \
          written as an IP address is refused, unless `allow` names it or `ip_addresses` is true. \
          Names are compared as browsers read them, so punycode, capitals and percent signs make \
          no difference. URLs that readers understand differently are refused: with a user name, \
          spaces, controls or backslashes.",
    example: "{ schemes: [https, data], allow: [\"example.com\", \"*.example.com\"] }",
    streams: Streams::Before,
    schema: schema_of::<SourcesSettings>,
    compile: |value| {
        patterns::no_empty_list(value)?;
        let settings: SourcesSettings = settings(value)?;
        Ok(Box::new(settings.checked()?))
    },
};

/// Settings of the rule.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
struct SourcesSettings {
    /// Schemes that may be used. Default: `https` and `data`.
    schemes: Vec<String>,
    /// Hosts that may be named. Default: all that have a name.
    allow: Vec<String>,
    /// Hosts that may not be named.
    deny: Vec<String>,
    /// Whether a host may be written as an IP address that `allow` does not
    /// name. Default: no.
    ip_addresses: bool,
}

/// The rule.
#[derive(Debug)]
struct Sources {
    schemes: Vec<String>,
    allow: Vec<HostPattern>,
    deny: Vec<HostPattern>,
    ip_addresses: bool,
    told: String,
}

/// A pattern for hosts.
#[derive(Debug)]
enum HostPattern {
    /// Any name.
    Any,
    /// This name.
    Is(String),
    /// Names below this one.
    Below(String),
    /// This address.
    Address(IpAddr),
}

impl HostPattern {
    fn read(text: &str) -> Option<Self> {
        if text == "*" {
            return Some(Self::Any);
        }
        if let Ok(address) = text.parse::<IpAddr>() {
            return Some(Self::Address(address.to_canonical()));
        }
        let (below, name) = match text.strip_prefix("*.") {
            Some(name) => (true, name),
            None => (false, text),
        };
        if name.contains(['*', '/', '@', '?', '#', '%', '\\', ' ']) {
            return None;
        }
        match (Host::parse(name).ok()?, below) {
            (Host::Domain(name), true) => Some(Self::Below(undotted(&name).to_owned())),
            (Host::Domain(name), false) => Some(Self::Is(undotted(&name).to_owned())),
            (Host::Ipv4(address), false) => Some(Self::Address(address.into())),
            (Host::Ipv6(address), false) => Some(Self::Address(address.to_canonical())),
            (Host::Ipv4(_) | Host::Ipv6(_), true) => None,
        }
    }

    fn holds_name(&self, host: &str) -> bool {
        match self {
            Self::Any => true,
            Self::Is(name) => name.eq_ignore_ascii_case(host),
            Self::Below(name) => {
                let at = host.len().saturating_sub(name.len());
                at > 1
                    && host.is_char_boundary(at)
                    && host[at..].eq_ignore_ascii_case(name)
                    && host.as_bytes()[at - 1] == b'.'
            }
            Self::Address(_) => false,
        }
    }

    fn holds_address(&self, host: IpAddr) -> bool {
        match self {
            Self::Address(address) => *address == host,
            Self::Any | Self::Is(_) | Self::Below(_) => false,
        }
    }
}

/// A name without the dot of the root.
fn undotted(name: &str) -> &str {
    name.strip_suffix('.').unwrap_or(name)
}

impl SourcesSettings {
    fn checked(self) -> Result<Sources, Wrong> {
        let Self {
            mut schemes,
            allow,
            deny,
            ip_addresses,
        } = self;
        if schemes.is_empty() && allow.is_empty() && deny.is_empty() {
            return Err(Wrong::new(
                "",
                "this rule names neither schemes nor hosts",
                "write `schemes`, `allow` or `deny`",
            ));
        }
        for (nth, scheme) in schemes.iter_mut().enumerate() {
            scheme.make_ascii_lowercase();
            let good = |byte: u8| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte);
            if !scheme.starts_with(|first: char| first.is_ascii_alphabetic())
                || !scheme.bytes().all(good)
            {
                return Err(Wrong::new(
                    format!("schemes[{nth}]"),
                    format!("`{scheme}` is not a scheme"),
                    "write a scheme without a colon, such as `https`",
                ));
            }
        }
        let told = format!(
            "{} with schemes {}",
            patterns::told("hosts", &allow, &deny),
            match schemes.as_slice() {
                [] => "https, data".to_owned(),
                schemes => schemes.join(", "),
            }
        );
        if schemes.is_empty() {
            schemes = vec!["https".to_owned(), "data".to_owned()];
        }
        Ok(Sources {
            schemes,
            allow: hosts("allow", &allow)?,
            deny: hosts("deny", &deny)?,
            ip_addresses,
            told,
        })
    }
}

fn hosts(path: &str, texts: &[String]) -> Result<Vec<HostPattern>, Wrong> {
    patterns::check(path, texts)?;
    let mut hosts = Vec::with_capacity(texts.len());
    for (nth, text) in texts.iter().enumerate() {
        let host = HostPattern::read(text).ok_or_else(|| {
            Wrong::new(
                format!("{path}[{nth}]"),
                format!("`{text}` is not a host"),
                "write a host without scheme, port or path: `example.com`, `*.example.com`",
            )
        })?;
        hosts.push(host);
    }
    Ok(hosts)
}

impl Sources {
    /// What is wrong with a URL.
    fn objection(&self, text: &str) -> Option<&'static str> {
        let allowed = |scheme: &str| self.schemes.iter().any(|known| known == scheme);
        if is_data(text) {
            return (!allowed("data")).then_some("its scheme may not be used");
        }
        let unclear = |it: char| it.is_control() || it.is_whitespace() || it == '\\';
        if text.len() > URL_BYTES_MAX || text.contains(unclear) {
            return Some("it can be read in more than one way");
        }
        let Ok(url) = Url::parse(text) else {
            return Some("it cannot be read");
        };
        if !allowed(url.scheme()) {
            return Some("its scheme may not be used");
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Some("it carries a user name");
        }
        match self.permits(url.host()) {
            true => None,
            false => Some("its host may not be used"),
        }
    }

    fn permits(&self, host: Option<Host<&str>>) -> bool {
        match host {
            None | Some(Host::Domain("")) => self.allow.is_empty(),
            Some(Host::Domain(name)) if name.contains('%') => false,
            Some(Host::Domain(name)) => {
                let hit = |it: &HostPattern| it.holds_name(undotted(name));
                (self.allow.is_empty() || self.allow.iter().any(hit)) && !self.deny.iter().any(hit)
            }
            Some(Host::Ipv4(address)) => self.permits_address(address.into()),
            Some(Host::Ipv6(address)) => self.permits_address(address.to_canonical()),
        }
    }

    fn permits_address(&self, address: IpAddr) -> bool {
        let hit = |it: &HostPattern| it.holds_address(address);
        (self.ip_addresses || self.allow.iter().any(hit)) && !self.deny.iter().any(hit)
    }
}

/// Whether this is a URL that carries its content; such URLs can be very
/// long, so they are not read.
fn is_data(text: &str) -> bool {
    text.get(..5)
        .is_some_and(|scheme| scheme.eq_ignore_ascii_case("data:"))
}

impl Rule for Sources {
    fn looks_at_places(&self) -> bool {
        false
    }

    fn needs_content(&self) -> bool {
        true
    }

    fn request(&self, facts: &Facts<'_>) -> Finding {
        let content = match body::of(facts) {
            Body::None => return Finding::Pass,
            Body::Unknown => return body::unknown(),
            Body::Seen(content) => content,
        };
        let objections = content
            .urls
            .iter()
            .find_map(|url| Some((url, self.objection(url)?)));
        match objections {
            None => Finding::Pass,
            Some((url, why)) => Finding::breach(
                "source_not_allowed",
                format!("The address `{}` may not be named here: {why}.", shown(url)),
            ),
        }
    }

    fn told(&self) -> String {
        self.told.clone()
    }
}
