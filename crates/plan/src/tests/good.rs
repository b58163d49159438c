//! Good documents, and what becomes of them.

use contract::seams::HttpVersion;
use contract::{DialectId, Operation};

use super::{Fake, good, good_with};
use crate::*;

const CA: &str = "-----BEGIN CERTIFICATE-----\nAA==\n-----END CERTIFICATE-----\n";

#[test]
fn an_empty_document_is_good() {
    for text in [
        "",
        "# nothing\n",
        "{}",
        "---\n",
        "providers:\nkeys:\nmodels:\n",
    ] {
        let (_, compiled) = good(text);
        assert!(compiled.plan.providers.is_empty());
        assert_eq!(compiled.data[0].name, "data");
        assert_eq!(
            compiled.admin[0].at,
            Where::Tcp("127.0.0.1:4101".parse().unwrap())
        );
    }
}

#[test]
fn references_are_replaced_in_parsed_values_only() {
    let fake = Fake::new(
        &[
            ("HOST", "models.internal"),
            ("TRICK", "x\nkeys: []"),
            ("N", "3"),
            ("EMPTY", ""),
        ],
        &[("key", "sk-from-a-file\r\n\n")],
    );
    let text = "
workers: ${env:N}
data_dir: '${env:TRICK}'
providers:
  a:
    kind: compatible
    base_url: https://${env:HOST}/${env:PATH_:-v1}
    api_key: ${file:key}
    headers: {x-literal: '$${env:N}', x-default: '${env:EMPTY:-other}'}
";
    let (draft, compiled) = good_with(text, &fake);
    assert_eq!(compiled.workers, Some(3));
    assert_eq!(draft.document.data_dir.as_deref(), Some("x\nkeys: []"));
    let provider = &compiled.plan.providers[0];
    assert_eq!(
        provider.endpoint.as_ref().expect("remote").host,
        "models.internal"
    );
    assert_eq!(provider.base_path, "/v1");
    assert_eq!(
        provider.account.key.as_ref().expect("a key").expose(),
        "sk-from-a-file"
    );
    assert_eq!(provider.headers["x-literal"], "${env:N}");
    assert_eq!(provider.headers["x-default"], "other");
}

#[test]
fn scalars_take_the_type_of_their_field() {
    let text = "keys:\n  - {id: 007, secret: tg-0123456789012345678, tenant: no, app: 1.50}\n\
                log: {requests: off}\nlimits: {body_bytes: 1048576}\n";
    let (draft, compiled) = good(text);
    let key = &draft.document.keys[0];
    assert_eq!((key.id.as_str(), key.tenant.as_str()), ("007", "no"));
    assert_eq!(key.app.as_deref(), Some("1.50"));
    assert_eq!(draft.document.log.requests, Requests::Off);
    assert_eq!(compiled.plan.settings.body_bytes_max, 1 << 20);
}

#[test]
fn json_is_yaml() {
    let text = "{\"providers\": {\"sandbox\": {\"kind\": \"sandbox\"}},\n\t\"models\": {\"m\": \"sandbox/echo\"}}";
    let (_, compiled) = good(text);
    assert!(compiled.plan.models.resolve("m").is_some());
}

#[test]
fn a_provider_becomes_an_endpoint() {
    let text = "
providers:
  a:
    kind: openai
    base_url: http://127.0.0.1:9000/v1/
    api_key: k
    dialects: [openai_chat]
    proxy: http://me:p%40ss@proxy.internal:3128
    ca_file: ca.pem
    http: http2
    connections_max: 7
    timeouts: {connect: 1500ms, head: 1m, first_token: 30s, idle: 20s, total: 1h}
";
    let fake = Fake::new(&[], &[("ca.pem", CA)]);
    let (_, compiled) = good_with(text, &fake);
    let provider = &compiled.plan.providers[0];
    let endpoint = provider.endpoint.as_ref().expect("remote");
    assert!(!endpoint.tls);
    assert_eq!((endpoint.host.as_str(), endpoint.port), ("127.0.0.1", 9000));
    assert_eq!(endpoint.authority, "127.0.0.1:9000");
    assert_eq!((endpoint.connections_max, endpoint.connect_ms), (7, 1500));
    assert_eq!(endpoint.version, HttpVersion::Http2);
    assert_eq!(endpoint.ca_pem.as_deref(), Some(CA));
    let proxy = endpoint.proxy.as_ref().expect("a proxy");
    assert_eq!((proxy.host.as_str(), proxy.port), ("proxy.internal", 3128));
    // RFC 7617: base64 of `me:p@ss`.
    assert_eq!(
        proxy.authorization.as_ref().expect("a login").expose(),
        "Basic bWU6cEBzcw=="
    );
    assert_eq!(provider.base_path, "/v1");
    let times = Times {
        head_ms: 60_000,
        first_token_ms: 30_000,
        idle_ms: 20_000,
        total_ms: 3_600_000,
    };
    assert_eq!(provider.times, times);
    let dialects: Vec<DialectId> = provider
        .dialects
        .iter()
        .map(|dialect| dialect.id())
        .collect();
    assert_eq!(dialects, [DialectId("openai_chat")]);
}

#[test]
fn an_endpoint_keeps_its_id_until_a_setting_changes() {
    let id = |extra: &str| {
        let text = format!("providers: {{a: {{kind: ollama, {extra}}}}}");
        let (_, compiled) = good(&text);
        compiled.plan.providers[0]
            .endpoint
            .as_ref()
            .expect("remote")
            .id
            .clone()
    };
    assert_eq!(id(""), id("api_key: other"));
    let settings = [
        "",
        "http: http1",
        "connections_max: 2",
        "timeouts: {connect: 1s}",
        "base_url: 'http://127.0.0.1:1'",
        "base_url: 'https://127.0.0.1:11434'",
        "proxy: 'http://p'",
        "proxy: 'http://u:v@p'",
        "proxy: 'http://u:w@p'",
    ];
    let ids: std::collections::HashSet<String> = settings.iter().map(|extra| id(extra)).collect();
    assert_eq!(ids.len(), settings.len());
    assert!(ids.iter().all(|id| !id.contains("u:v")));
}

#[test]
fn addresses_of_regions_and_profiles() {
    let fake = Fake::new(
        &[("HOME", "h")],
        &[
            (
                "h/.aws/credentials",
                "[ci]\naws_access_key_id=AKID\naws_secret_access_key=s\n",
            ),
            ("h/.aws/config", "[profile ci]\nregion = eu-west-1\n"),
        ],
    );
    let (_, compiled) = good_with("providers: {bedrock: {aws: {profile: ci}}}", &fake);
    let provider = &compiled.plan.providers[0];
    let endpoint = provider.endpoint.as_ref().expect("remote");
    assert_eq!(endpoint.host, "bedrock-runtime.eu-west-1.amazonaws.com");
    assert_eq!((endpoint.tls, endpoint.port), (true, 443));
    assert_eq!(
        provider
            .account
            .signing
            .as_ref()
            .expect("keys")
            .access_key_id,
        "AKID"
    );
}

#[test]
fn models_go_where_they_should() {
    let text = "
providers:
  openai: {api_key: k}
  second: {kind: openai, api_key: k}
  narrow: {kind: anthropic, api_key: k, models: [claude-opus-*]}
  local: {kind: vllm}
  silent: {kind: compatible, base_url: 'http://127.0.0.1:1/v1', models: []}
models:
  fast: second/gpt-small
  gpt-5: {candidates: [{provider: local, model: qwen, context_tokens: 1000, capabilities: {vision: false, reasoning: none}}, {provider: openai, model: gpt-5}]}
";
    let (_, compiled) = good(text);
    let plan = &compiled.plan;
    let went = |model: &str| {
        let candidates = plan.models.resolve(model)?;
        let first = candidates.first()?;
        Some(format!(
            "{} {}",
            plan.providers[first.provider].name, first.model
        ))
    };
    for (model, expected) in [
        ("fast", Some("second gpt-small")),
        ("gpt-5", Some("local qwen")),
        // Models that were named are the whole offer, besides what a provider
        // says itself.
        ("gpt-4o", None),
        ("anything", None),
        ("claude-haiku-4", None),
        ("second/gpt-4o", Some("second gpt-4o")),
        ("claude-opus-4", Some("narrow claude-opus-4")),
    ] {
        assert_eq!(went(model).as_deref(), expected, "{model}");
    }
    let (_, open) = good(
        "
providers:
  openai: {api_key: k}
  local: {kind: vllm}
",
    );
    let went = |model: &str| {
        let candidates = open.plan.models.resolve(model)?;
        Some(
            open.plan.providers[candidates.first()?.provider]
                .name
                .to_string(),
        )
    };
    for (model, expected) in [
        ("gpt-4o", "openai"),
        // The one provider of which nobody knows what it serves gets the rest.
        ("anything", "local"),
    ] {
        assert_eq!(went(model).as_deref(), Some(expected), "{model}");
    }
    let card = &plan.models.resolve("gpt-5").expect("named")[0].card;
    assert_eq!(card.context_tokens, Some(1000));
    assert!(!card.capabilities.vision && card.capabilities.json_schema);
}

#[test]
fn keys_are_rings() {
    let text =
        "keys:\n  - {id: a, secret: tg-0123456789012345678, tenant: t, models: ['fast-*']}\n";
    let (_, compiled) = good(text);
    let who = compiled
        .plan
        .keys
        .identify("tg-0123456789012345678", false)
        .expect("known");
    assert_eq!((&*who.key_id, &*who.tenant, &*who.app), ("a", "t", "a"));
    assert!(who.may_use("fast-1") && !who.may_use("slow"));
}

#[test]
fn limits_and_choices_arrive() {
    let text = "
listen:
  data: [{address: '[::1]:0'}, {unix: a.sock, unix_mode: '0660'}]
  admin: []
limits: {body_bytes: 1MiB, body_bytes_by_operation: {embeddings: 2MiB}, connections: 5, head_timeout: 3s}
translation: {losses: refuse, unsupported: refuse}
evidence: {durability: synced, flush_ms: 9, index: false, dir: records}
drain: {unready_before: 5s, max: 1m}
";
    let (_, compiled) = good(text);
    let settings = &compiled.plan.settings;
    assert_eq!(settings.body_bytes_of(Operation::Chat), 1 << 20);
    assert_eq!(settings.body_bytes_of(Operation::Embed), 2 << 20);
    assert_eq!(settings.losses, LossPolicy::Refuse);
    assert_eq!(settings.unsupported, dialects::Unsupported::Refuse);
    assert_eq!(
        (compiled.edge.connections, compiled.edge.head_ms),
        (5, 3_000)
    );
    assert_eq!(compiled.evidence.durability, Durability::Synced);
    assert_eq!(
        (compiled.drain.unready_before_ms, compiled.drain.max_ms),
        (5_000, 60_000)
    );
    assert_eq!(compiled.data[1].name, "data-2");
    assert_eq!(
        compiled.data[1].at,
        Where::Unix {
            path: "a.sock".into(),
            mode: 0o660
        }
    );
    assert!(compiled.admin.is_empty());
}

#[test]
fn an_open_admin_listener_is_a_warning() {
    let some = "providers: {sandbox: {}}\n";
    let open = format!("{some}listen: {{admin: {{address: '0.0.0.0:4101'}}}}");
    let (_, compiled) = good(&open);
    assert_eq!(compiled.warnings.len(), 1);
    assert_eq!(compiled.warnings[0].severity, Severity::Warning);
    let tls = "listen: {admin: {address: '0.0.0.0:4101', tls: {cert: c, key: k}}}";
    assert!(good(&format!("{some}{tls}")).1.warnings.is_empty());
}

#[test]
fn what_needs_a_restart_is_named() {
    let (_, before) = good("");
    let (_, after) = good("workers: 2\nlog: {requests: full}\nproviders: {sandbox: {}}\n");
    assert_eq!(before.restart_only(&after), ["workers", "log"]);
    assert!(
        before
            .restart_only(&good("providers: {sandbox: {}}").1)
            .is_empty()
    );
}

#[test]
fn durations_and_sizes_are_shown_as_people_write_them() {
    for (text, shown) in [
        ("1500ms", "1500ms"),
        ("60s", "1m"),
        ("90m", "90m"),
        ("24h", "1d"),
        ("0", "0s"),
    ] {
        let (draft, _) = good(&format!("drain: {{max: {text}}}"));
        assert_eq!(draft.document.drain.max.to_string(), shown);
    }
    for (text, shown) in [
        ("1024", "1KiB"),
        ("64KiB", "64KiB"),
        ("1025", "1025"),
        ("10MB", "10000000"),
        ("1 MiB", "1MiB"),
    ] {
        let (draft, _) = good(&format!("limits: {{body_bytes: {text}}}"));
        assert_eq!(draft.document.limits.body_bytes.to_string(), shown);
    }
}

#[test]
fn a_document_without_providers_is_usable_but_says_so() {
    for (text, place) in [
        ("# nothing\n", (None, None)),
        ("workers: 1\nproviders:\n", (Some(2), Some(10))),
        ("workers: 1\nproviders: {}\n", (Some(2), Some(12))),
    ] {
        let (_, compiled) = good(text);
        let [warning] = compiled.warnings.as_slice() else {
            panic!("{text:?}: {:?}", compiled.warnings);
        };
        assert_eq!(warning.severity, Severity::Warning);
        assert_eq!((warning.line, warning.column), place, "{text:?}");
        assert!(warning.what.contains("no model can be called"));
        assert!(warning.instead.contains("providers: auto"));
    }
    assert!(good("providers: {sandbox: {}}").1.warnings.is_empty());
}

#[test]
fn a_trusted_backend_may_assert_what_its_key_says() {
    let (_, compiled) = good(
        "keys:
  - {id: a, secret: tg-0123456789012345678, groups: [staff, eu], asserts: [user, app]}
  - {id: b, secret: tg-0123456789012345679, asserts: [tenant]}
  - {id: c, secret: tg-0123456789012345670}
",
    );
    let mut all: Vec<_> = compiled.plan.keys.consumers().collect();
    all.sort_by(|a, b| a.key_id.cmp(&b.key_id));
    let may = |user, app, tenant| access::Asserts { user, app, tenant };
    assert_eq!(all[0].asserts, may(true, true, false));
    assert_eq!(all[1].asserts, may(false, false, true));
    assert_eq!(all[2].asserts, may(false, false, false));
    assert_eq!(*all[0].groups, ["staff".into(), "eu".into()]);
    assert!(all[2].groups.is_empty());
}
