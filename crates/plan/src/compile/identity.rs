//! Credentials beside keys: issuers, certificates, proxies, and networks.

use std::collections::HashMap;
use std::sync::Arc;

use access::Consumer;
use access::addresses::{Addresses, HopsIn, NotANetwork, Proxies};
use access::certificate::{Holder, Holders, Match};
use access::identity::Trust;
use access::jwt::{Ages, ClaimPath, Claims, Issuer, Issuers, NameFrom, Required, Source};

use super::Findings;
use crate::document::{
    CertificateEntry, Document, ForwardedIn, IdentityEntry, IssuerEntry, MatchEntry,
};
use crate::interpolate::Sources;

/// What stands for proxies on unix sockets.
const UNIX: &str = "unix";

pub(super) fn compile(
    document: &Document,
    sources: &dyn Sources,
    findings: &mut Findings,
) -> Trust {
    let entry = &document.identity;
    let listens = document.listen.data.0.iter();
    let asks = listens
        .filter_map(|listener| listener.tls.as_ref())
        .any(|tls| tls.client_ca.is_some());
    if !entry.certificates.is_empty() && !asks {
        findings.warn(
            "identity.certificates",
            "no listener asks for client certificates, so none of these is ever shown",
            "add `client_ca: <file>` to `listen.data.tls`",
        );
    }
    Trust {
        issuers: issuers(&entry.issuers, sources, findings),
        holders: holders(&entry.certificates, findings),
        proxies: proxies(entry, findings),
    }
}

fn proxies(entry: &IdentityEntry, findings: &mut Findings) -> Proxies {
    let mut by_address = entry.trusted_proxies.clone();
    by_address.retain(|text| text != UNIX);
    let networks = (!by_address.is_empty())
        .then(|| addresses(Some(&by_address), "identity.trusted_proxies", findings))
        .flatten();
    Proxies {
        networks,
        unix: by_address.len() < entry.trusted_proxies.len(),
        hops_in: match entry.forwarded_in {
            ForwardedIn::XForwardedFor => HopsIn::XForwardedFor,
            ForwardedIn::Forwarded => HopsIn::Forwarded,
        },
    }
}

/// A list of networks, if there is one. A list that cannot be read lets in
/// nobody; the finding keeps the plan from being used.
pub(super) fn addresses(
    texts: Option<&Vec<String>>,
    path: &str,
    findings: &mut Findings,
) -> Option<Addresses> {
    let texts = texts?;
    if texts.is_empty() {
        findings.error(
            path,
            "this list is empty, so nobody could call",
            "name networks such as `10.0.0.0/8`, or leave the field out",
        );
    }
    match Addresses::read(texts.iter().map(String::as_str)) {
        Ok(addresses) => Some(addresses),
        Err((nth, why)) => {
            let text = &texts[nth];
            let (what, instead) = match why {
                NotANetwork::Unreadable => (
                    format!("`{text}` is neither an address nor a network"),
                    "write it like `10.0.0.0/8`, `192.0.2.7` or `2001:db8::/32`".to_owned(),
                ),
                NotANetwork::HostBits(network) => (
                    format!("`{text}` names one address within a network"),
                    format!("write `{network}` for the network, or the address alone"),
                ),
            };
            findings.error(format!("{path}[{nth}]"), what, instead);
            None
        }
    }
}

fn issuers(entries: &[IssuerEntry], sources: &dyn Sources, findings: &mut Findings) -> Issuers {
    let mut names: HashMap<&str, usize> = HashMap::new();
    let mut urls: HashMap<&str, usize> = HashMap::new();
    let mut compiled = Vec::new();
    for (nth, entry) in entries.iter().enumerate() {
        let path = format!("identity.issuers[{nth}]");
        for (field, text, seen) in [
            ("name", &entry.name, &mut names),
            ("issuer", &entry.issuer, &mut urls),
        ] {
            let field = format!("{path}.{field}");
            if text.trim().is_empty() {
                findings.error(field, "this is empty", "write it out");
            } else if let Some(first) = seen.insert(text, nth) {
                findings.error(
                    field,
                    format!("`{text}` is taken by identity.issuers[{first}]"),
                    "write one entry for each issuer",
                );
            }
        }
        if entry.name.contains(':') || entry.name.len() > 64 {
            findings.error(
                format!("{path}.name"),
                "this name cannot be told from a subject in records",
                "write a name of at most 64 characters without `:`",
            );
        }
        compiled.extend(issuer(entry, &path, sources, findings));
    }
    Issuers(compiled)
}

fn issuer(
    entry: &IssuerEntry,
    path: &str,
    sources: &dyn Sources,
    findings: &mut Findings,
) -> Option<Issuer> {
    check_issuer(entry, path, findings);
    let name: Arc<str> = entry.name.as_str().into();
    let ca_pem = entry
        .ca_file
        .as_ref()
        .and_then(|file| match sources.file(file) {
            Ok(pem) => Some(pem.into()),
            Err(why) => {
                findings.error(
                    format!("{path}.ca_file"),
                    format!("`{file}` cannot be read: {why}"),
                    "write the path of a PEM file",
                );
                None
            }
        });
    let ages = Ages {
        refresh_s: entry.refresh_s,
        stale_s: entry.stale_s,
    };
    let jwks_uri = entry.jwks_uri.as_deref();
    let source = Source::new(&name, &entry.issuer, jwks_uri, ca_pem, ages);
    let source = source.map_err(|why| {
        let (field, instead) = match jwks_uri {
            Some(_) => ("jwks_uri", "write it like `https://login.example.com/keys`"),
            None => (
                "issuer",
                "write it like `https://login.example.com`, or add `jwks_uri`",
            ),
        };
        findings.error(format!("{path}.{field}"), why, instead);
    });
    Some(Issuer {
        name,
        issuer: entry.issuer.as_str().into(),
        audience: entry
            .audience
            .0
            .iter()
            .map(|it| it.as_str().into())
            .collect(),
        algorithms: entry.algorithms.clone(),
        skew_s: entry.clock_skew_s,
        claims: claims(entry, path, findings)?,
        required: entry
            .required_claims
            .iter()
            .map(|required| Required {
                claim: claim(&required.claim),
                values: required
                    .values
                    .iter()
                    .map(|it| it.as_str().into())
                    .collect(),
            })
            .collect(),
        addresses: addresses(
            entry.addresses.as_ref(),
            &format!("{path}.addresses"),
            findings,
        ),
        source: source.ok()?,
    })
}

fn check_issuer(entry: &IssuerEntry, path: &str, findings: &mut Findings) {
    let audience = &entry.audience.0;
    if audience.is_empty() || audience.iter().any(|one| one.trim().is_empty()) {
        findings.error(
            format!("{path}.audience"),
            "without an audience a token for any other service would count here",
            "write the audience that the issuer puts into tokens for this gateway",
        );
    }
    if entry.algorithms.is_empty() {
        findings.error(
            format!("{path}.algorithms"),
            "no algorithm is named, so no token could count",
            "write those that the issuer signs with, such as `[RS256]`",
        );
    }
    if entry.stale_s <= entry.refresh_s {
        findings.error(
            format!("{path}.stale_s"),
            "keys would be too old before they are fetched again",
            "write more than `refresh_s`",
        );
    }
    let claims = &entry.claims;
    for (field, name) in [
        ("claims.tenant", &claims.tenant),
        ("claims.app", &claims.app),
        ("claims.user", &claims.user),
        ("claims.groups", &claims.groups),
        ("fixed.tenant", &entry.fixed.tenant),
        ("fixed.app", &entry.fixed.app),
    ] {
        if name.as_ref().is_some_and(|name| name.trim().is_empty()) {
            findings.error(
                format!("{path}.{field}"),
                "this name is empty",
                "write it out, or leave the field out",
            );
        }
    }
    for (nth, required) in entry.required_claims.iter().enumerate() {
        if required.claim.trim().is_empty() {
            findings.error(
                format!("{path}.required_claims[{nth}].claim"),
                "this name is empty",
                "name the claim",
            );
        }
    }
}

fn claims(entry: &IssuerEntry, path: &str, findings: &mut Findings) -> Option<Claims> {
    let mut from =
        |field: &str, taken: &Option<String>, fixed: &Option<String>| match (taken, fixed) {
            (Some(name), None) => Some(NameFrom::Claim(claim(name))),
            (None, Some(name)) => Some(NameFrom::Fixed(name.as_str().into())),
            (None, None) => {
                findings.error(
                    path,
                    format!("it is not said which {field} a token is of"),
                    format!("write `claims: {{{field}: <claim>}}` or `fixed: {{{field}: <name>}}`"),
                );
                None
            }
            (Some(_), Some(_)) => {
                findings.error(
                    format!("{path}.fixed.{field}"),
                    format!("the {field} is taken from a claim as well"),
                    "keep one of the two",
                );
                None
            }
        };
    let tenant = from("tenant", &entry.claims.tenant, &entry.fixed.tenant);
    let app = from("app", &entry.claims.app, &entry.fixed.app);
    Some(Claims {
        tenant: tenant?,
        app: app?,
        user: entry.claims.user.as_deref().map(claim),
        groups: entry.claims.groups.as_deref().map(claim),
    })
}

fn claim(name: &str) -> ClaimPath {
    ClaimPath(name.into())
}

fn holders(entries: &[CertificateEntry], findings: &mut Findings) -> Holders {
    let mut holders = Vec::new();
    for (nth, entry) in entries.iter().enumerate() {
        let path = format!("identity.certificates[{nth}]");
        for (field, name) in [("tenant", &entry.tenant), ("app", &entry.app)] {
            if name.trim().is_empty() {
                findings.error(
                    format!("{path}.{field}"),
                    format!("this {field} is empty"),
                    "name it",
                );
            }
        }
        let addresses = addresses(
            entry.addresses.as_ref(),
            &format!("{path}.addresses"),
            findings,
        );
        let consumer = Consumer {
            user: entry.user.as_deref().map(Into::into),
            groups: entry
                .groups
                .iter()
                .map(|name| name.as_str().into())
                .collect(),
            addresses,
            ..Consumer::new("certificate", &*entry.tenant, &*entry.app)
        };
        match matching(&entry.matches) {
            Ok(matches) => holders.push(Holder { matches, consumer }),
            Err((what, instead)) => findings.error(format!("{path}.match"), what, instead),
        }
    }
    Holders(holders)
}

fn matching(entry: &MatchEntry) -> Result<Match, (&'static str, &'static str)> {
    match (&entry.spiffe, &entry.san_dns, &entry.subject_cn) {
        (Some(id), None, None) => {
            let domain = id
                .strip_prefix("spiffe://")
                .and_then(|rest| rest.split_once('/'));
            match domain {
                Some((domain, _)) if !domain.is_empty() && !domain.contains('*') => {
                    Ok(Match::Spiffe(id.clone()))
                }
                Some(_) | None => Err((
                    "this is no SPIFFE id of one trust domain",
                    "write it like `spiffe://example.org/ns/prod/*`",
                )),
            }
        }
        (None, Some(name), None) => {
            let host = name.strip_prefix("*.").unwrap_or(name);
            match host.is_empty() || host.contains('*') {
                false => Ok(Match::Dns(name.to_ascii_lowercase())),
                true => Err((
                    "a DNS name has `*` only as its first label",
                    "write it like `batch.example.org` or `*.apps.example.org`",
                )),
            }
        }
        (None, None, Some(name)) if !name.trim().is_empty() => Ok(Match::SubjectCn(name.clone())),
        (_, _, _) => Err((
            "it is not said by which name",
            "write one of `spiffe`, `san_dns` and `subject_cn`",
        )),
    }
}
