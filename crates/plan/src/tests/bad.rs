//! Bad documents, and exactly what is said of them.

use super::{Fake, try_with};
use crate::*;

/// Line, column, what, instead of every finding.
type Said = (usize, usize, &'static str, &'static str);

const SECRET: &str = "sk-live-0123456789-never-shown";

pub(super) fn check(text: &str, expected: &[Said]) {
    let fake = Fake::new(
        &[("SET", "x"), ("EMPTY", "")],
        &[("ca.pem", "no certificate")],
    );
    let Err(found) = try_with(text, &fake) else {
        panic!("accepted:\n{text}");
    };
    let rendered = render(&found, "tollgate.yaml", false);
    let said: Vec<_> = found
        .iter()
        .map(|one| {
            let (line, column) = (one.line.unwrap_or(0), one.column.unwrap_or(0));
            (line, column, one.what.as_str(), one.instead.as_str())
        })
        .collect();
    assert_eq!(said, expected, "\n{text}\n{rendered}");
    let json = to_json(&found).to_string();
    assert!(
        !rendered.contains(SECRET) && !json.contains(SECRET),
        "{rendered}"
    );
    assert!(!format!("{found:?}").contains(SECRET));
}

#[test]
fn text_that_is_not_yaml() {
    check(
        "keys:\n  - {id: a, secret: sk-live-0123456789-never-shown\nlog: {}\n",
        &[(
            2,
            5,
            "this is not valid YAML: unclosed bracket '{'",
            "check indentation, quotes and brackets here and on the line above; a tab cannot indent",
        )],
    );
    check(
        "providers:\n  a: {api_key: ${env:SET}}\n",
        &[(
            2,
            17,
            "this is not valid YAML: while parsing a flow mapping, did not find expected ',' or '}'",
            "quote references that stand within `{..}` or `[..]`: `'${env:NAME}'`",
        )],
    );
    check(
        "log: {}\n---\nlog: {}\n",
        &[(
            2,
            1,
            "the file holds a second document",
            "write one document; remove the `---` and what follows",
        )],
    );
    check(
        "log: {}\nlog: {}\n",
        &[(
            2,
            1,
            "`log` is written twice; the first is on line 1",
            "keep one of the two",
        )],
    );
    check(
        "log:\n  <<: {sample: 1}\n",
        &[(
            2,
            3,
            "merge keys (`<<`) are not supported",
            "write the fields out, or use an alias (`*name`) for a whole value",
        )],
    );
}

#[test]
fn a_small_file_cannot_unfold_into_a_large_one() {
    let mut text = "a: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
    for level in 1..9 {
        let row = vec![format!("*a{}", level - 1); 10].join(", ");
        text.push_str(&format!("b{level}: &a{level} [{row}]\n"));
    }
    let found = try_with(&text, &Fake::default())
        .map(|_| ())
        .expect_err("too large");
    assert_eq!(
        found[0].what,
        "the document is too large once its aliases are followed"
    );
    let deep = format!("a: {}{}", "[".repeat(100), "]".repeat(100));
    let found = try_with(&deep, &Fake::default())
        .map(|_| ())
        .expect_err("too deep");
    assert_eq!(found[0].what, "this is nested too deeply");
}

#[test]
fn unknown_fields_and_words() {
    check(
        "lisen: {}\nproviders:\n  a: {kind: sandbx, api_kye: sk-live-0123456789-never-shown}\n\
         log: {requests: ful}\nzzz: 1\n",
        &[
            (1, 1, "there is no field `lisen` here", "write `listen`"),
            (3, 13, "there is no kind `sandbx`", "write `sandbox`"),
            (3, 21, "there is no field `api_kye` here", "write `api_key`"),
            (4, 17, "there is no choice `ful`", "write `full`"),
            (
                5,
                1,
                "there is no field `zzz` here",
                "the fields are `listen`, `data_dir`, `workers`, `providers`, `models`, `keys`, \
                 `keys_from`, `identity`, `metadata`, `idempotency`, `policy`, `rate_limits`, \
                 `budgets`, `brakes`, `counters`, `database`, `reservation`, `answers`, `prices`, \
                 `tokenizers`, `admin`, `plans`, `limits`, `translation`, `evidence`, `log`, `drain`",
            ),
        ],
    );
    check(
        "providers: autp\n",
        &[(1, 12, "there is no word `autp`", "write `auto`")],
    );
}

#[test]
fn wrong_types() {
    check(
        "keys: {id: a}\nlisten: [1]\nmodels:\n  m: [a]\nevidence: {index: yes, flush_ms: 5s}\n\
         limits: {body_bytes: 32 Megs, head_timeout: 10, connections: 0, headers: 2000}\nworkers: -1\n",
        &[
            (
                1,
                7,
                "a mapping stands here, but a list is needed",
                "write `[value, value]`, or one `- value` a line",
            ),
            (
                2,
                9,
                "a list stands here, but a mapping of fields is needed",
                "the fields are `data`, `admin`",
            ),
            (
                4,
                6,
                "a list stands here, but a text is needed",
                "write one value on this line",
            ),
            (5, 19, "`yes` is not a switch", "write `true` or `false`"),
            (
                5,
                34,
                "`5s` is not a whole number",
                "write digits only, 1 or more",
            ),
            (
                6,
                22,
                "`32 Megs` is not a size",
                "write a whole number and its unit: `64KiB`, `32MiB` or `1GiB`",
            ),
            (
                6,
                45,
                "`10` is not a length of time",
                "write a whole number and its unit: `1500ms`, `10s`, `2m`, `1h` or `1d`",
            ),
            (6, 62, "0 is too small", "write 1 or more"),
            (6, 74, "2000 is too large", "write at most 1024"),
            (
                7,
                10,
                "`-1` is not a whole number",
                "write digits only, 1 or more",
            ),
        ],
    );
}

#[test]
fn missing_fields() {
    check(
        "keys:\n  - id: a\nmodels:\n  m: {candidates: [{provider: p}]}\n",
        &[
            (
                2,
                5,
                "`secret` is missing",
                "add `secret: ..`: The key itself, preferably as `${env:NAME}` or `${file:path}`: 20 characters \
                 or more, beginning with `tg-`",
            ),
            (
                4,
                20,
                "`model` is missing",
                "add `model: ..`: The model as the provider knows it",
            ),
        ],
    );
}

#[test]
fn references_that_lead_nowhere() {
    check(
        "data_dir: ${env:UNSET}\nworkers: ${env:UNSET:-x}\nproviders:\n  \
         a: {kind: '${file:none}', api_key: 'k${SET}', region: '${env:A B}', ca_file: '${env:SET'}\n",
        &[
            (
                1,
                11,
                "the environment variable `UNSET` is not set",
                "set it, or give a default: `${env:UNSET:-default}`",
            ),
            (
                2,
                10,
                "`x` is not a whole number",
                "write digits only, 1 or more",
            ),
            (
                4,
                13,
                "the file `none` cannot be read: there is no such file",
                "check the path, which starts at the folder of this configuration, and that the \
                 gateway's user may read it",
            ),
            (
                4,
                38,
                "this reference names no source",
                "write `${env:NAME}` for a variable or `${file:path}` for a file; for the characters \
                 `${` themselves write `$${`",
            ),
            (
                4,
                57,
                "this is not the name of an environment variable",
                "names have letters, digits and `_`: `${env:NAME}` or `${env:NAME:-default}`",
            ),
            (
                4,
                80,
                "a reference is not closed",
                "write `${env:NAME}` or `${file:path}`; for the characters `${` themselves write \
                 `$${`",
            ),
        ],
    );
}

#[test]
fn listeners() {
    check(
        "listen:\n  data:\n    - address: :4100\n    - address: 127.0.0.1:4102\n    - address: localhost:4102\n    \
         - {address: '127.0.0.1:1', unix: a.sock}\n    - {unix: a.sock, unix_mode: 0999}\n    - {}\n    \
         - {unix: b.sock, tls: {cert: a, key: b}}\n  admin: {address: '127.0.0.1:4102'}\n",
        &[
            (
                3,
                16,
                "`:4100` is not an address and port",
                "write `127.0.0.1:4100` for this machine only, or `0.0.0.0:4100` (or `[::]:4100`) for all interfaces",
            ),
            (
                5,
                16,
                "this address is taken by `listen.data[1]`",
                "give each listener an address of its own",
            ),
            (
                6,
                38,
                "a listener has either an address or a unix socket",
                "write two listeners, as a list",
            ),
            (
                7,
                33,
                "`0999` are no permissions",
                "write them octal: `0600` for the gateway's user, `0660` for its group too",
            ),
            (
                8,
                7,
                "this listener has no address",
                "write `address: 127.0.0.1:4100` or `unix: <path of the socket>`",
            ),
            (
                9,
                27,
                "a unix socket has no TLS",
                "remove it; the permissions of the socket say who may connect",
            ),
            (
                10,
                20,
                "this address is taken by `listen.data[1]`",
                "give each listener an address of its own",
            ),
        ],
    );
}

#[test]
fn a_login_in_an_address() {
    check(
        "providers:\n  i: {kind: ollama, base_url: 'https://u:sk-live-0123456789-never-shown@x/'}\n",
        &[(
            2,
            31,
            "a base URL cannot hold a name or password",
            "write the key as `api_key: ${env:NAME}`",
        )],
    );
}

#[test]
fn providers() {
    let names = providers::kinds().iter().map(|kind| kind.name);
    let kinds = crate::diagnostic::suggest("mine", names, "kind");
    let kinds: &'static str = format!("add `kind: ..`: {kinds}").leak();
    check(
        "providers:\n  mine: {api_key: k}\n  openai: {}\n  compatible: {}\n  a/b: {kind: sandbox}\n  \
         c: {kind: openai, api_key: '', dialects: [gemini]}\n  \
         d: {kind: openai, api_key: k, base_url: 'ftp://x', aws: {profile: p}}\n  \
         e: {kind: bedrock, aws: {access_key_id: a}}\n  f: {kind: bedrock, api_key: k}\n  \
         g: {kind: sandbox, base_url: 'http://x'}\n  \
         h: {kind: ollama, proxy: 'socks5://u:sk-live-0123456789-never-shown@p', ca_file: ca.pem, headers: {Host: x}}\n  \
         i: {kind: ollama, timeouts: {idle: 0s}}\n",
        &[
            (
                2,
                9,
                "`kind` is missing, and no kind is called `mine`",
                kinds,
            ),
            (
                3,
                11,
                "the kind `openai` needs a key",
                "add `api_key: ${env:OPENAI_API_KEY}`",
            ),
            (
                4,
                15,
                "the kind `compatible` has no address of its own",
                "add `base_url: https://..`, with the version in it if the server wants one",
            ),
            (
                5,
                8,
                "`a/b` cannot be the name of a provider",
                "use up to 64 letters, digits, `-`, `_` and `.`; a `/` parts provider and model",
            ),
            (
                6,
                30,
                "this key is empty",
                "check the variable or file it comes from",
            ),
            (
                6,
                45,
                "the kind `openai` does not speak `gemini`",
                "the dialects are `openai_responses`, `openai_chat`",
            ),
            (
                7,
                43,
                "`ftp` is not spoken here",
                "write it like `https://models.example.com/v1`",
            ),
            (
                7,
                59,
                "the kind `openai` does not sign its requests",
                "write the key as `api_key`",
            ),
            (
                8,
                6,
                "the kind `bedrock` needs a region",
                "add `region: ..`, such as `region: us-east-1`",
            ),
            (
                8,
                27,
                "only one of `access_key_id` and `secret_access_key` is there",
                "write both, or a `profile`",
            ),
            (
                9,
                6,
                "the kind `bedrock` needs a region",
                "add `region: ..`, such as `region: us-east-1`",
            ),
            (
                10,
                32,
                "`base_url` does nothing for the kind `sandbox`",
                "remove it: this provider runs inside the gateway",
            ),
            (
                11,
                28,
                "only proxies that are spoken to in plain HTTP are supported",
                "write it like `http://proxy.internal:3128` or `http://name:password@host:port`",
            ),
            (
                11,
                84,
                "the file `ca.pem` cannot be used: it holds no certificate in PEM form",
                "write the path of a PEM file with one or more certificates",
            ),
            (11, 108, "`Host` is set by the gateway itself", "remove it"),
            (
                12,
                38,
                "no time at all would fail every call",
                "write `1s` or more, or leave the field out",
            ),
        ],
    );
}

#[test]
fn models() {
    check(
        "providers: {sandbox: {models: ['']}}\nmodels:\n  a: sandbx/echo\n  b: echo\n  c: {candidates: []}\n  \
         gpt-4.1: {candidates: [{provider: sndbox, model: ''}]}\n",
        &[
            (
                1,
                32,
                "this pattern is empty",
                "write a model name, a pattern such as `gpt-*`, or `*` for all",
            ),
            (3, 6, "there is no provider `sandbx`", "write `sandbox`"),
            (
                4,
                6,
                "`echo` does not say which provider",
                "write `provider/model`, such as `sandbox/echo`",
            ),
            (
                5,
                19,
                "this model has no candidate",
                "write at least one: `- {provider: .., model: ..}`",
            ),
            (6, 37, "there is no provider `sndbox`", "write `sandbox`"),
            (
                6,
                52,
                "this model is empty",
                "write the name that the provider knows",
            ),
        ],
    );
}

#[test]
fn keys() {
    let make = "make one with `echo tg-$(openssl rand -hex 24)`";
    check(
        "keys:\n  - {id: a, secret: tg-0123456789012345678}\n  - {id: a, secret: short}\n  - {id: '', secret: ''}\n  \
         - {id: c, secret: tg-0123456789012345678}\n  - {id: d, secret: tg-0123456789 12345678, models: ['']}\n  \
         - {id: e, secret: sk-live-0123456789-never-shown, tenant: ' '}\n",
        &[
            (
                3,
                10,
                "the id `a` is taken by keys[0]",
                "give each key an id of its own, so that records can tell them apart",
            ),
            (
                3,
                21,
                "this key has 5 characters, which can be guessed; 20 are needed",
                make,
            ),
            (4, 10, "this id is empty", "write a name for the key"),
            (4, 22, "this key is empty", make),
            (
                5,
                21,
                "the same key is written as keys[0]",
                "make a key for each caller, so that records can tell them apart",
            ),
            (
                6,
                21,
                "this key holds a space or a character that a header cannot carry",
                make,
            ),
            (
                6,
                54,
                "this pattern is empty",
                "write a model name, or a pattern such as `fast-*`",
            ),
            (
                7,
                21,
                "this key does not begin with `tg-`",
                "keys that begin with `tg-` are found by scanners for leaked secrets",
            ),
            (
                7,
                61,
                "this tenant is empty",
                "name it, or leave the field out",
            ),
        ],
    );
}

#[test]
fn bounds() {
    check(
        "limits: {body_bytes: 2GiB, head_bytes: 1KiB, idle_timeout: 0s, body_bytes_by_operation: {chat: 0}}\n",
        &[
            (
                1,
                22,
                "this size cannot work",
                "write a size from 1 to `1GiB`",
            ),
            (
                1,
                40,
                "this size cannot work",
                "write a size from `4KiB` to `1MiB`",
            ),
            (
                1,
                60,
                "no time at all would refuse every call",
                "write `1s` or more",
            ),
            (
                1,
                96,
                "this size cannot work",
                "write a size from 1 to `1GiB`",
            ),
        ],
    );
}

#[test]
fn a_finding_for_people() {
    let text = "keys:\n  - {id: a, secret: sk-live-0123456789-never-shown, tenat: x}\n";
    let found = try_with(text, &Fake::default())
        .map(|_| ())
        .expect_err("bad");
    let expected = "\
error: there is no field `tenat` here
  --> tollgate.yaml:2:53 (keys[0].tenat)
   |
 2 |   - {id: a, secret: ***, tenat: ***}
   |                          ^^^^^
  = write `tenant`

";
    assert_eq!(render(&found, "tollgate.yaml", false), expected);
    let coloured = render(&found, "tollgate.yaml", true);
    assert!(coloured.contains("\x1b[1;31merror\x1b[0m: there is no field"));
}

#[test]
fn an_error_of_form_does_not_show_what_stands_around_it() {
    for text in [
        "api_key: \"sk-live-0123456789-never-shown\n",
        "a:\n - 'sk-live-0123456789-never-shown\n",
        "{\"api_key\": \"sk-live-0123456789-never-shown\", ]}",
        "a: |\n sk-live-0123456789-never-shown\n\tb: c\n",
    ] {
        let found = try_with(text, &Fake::default())
            .map(|_| ())
            .expect_err("bad");
        let rendered = render(&found, "tollgate.yaml", false);
        assert!(!rendered.contains(SECRET), "{rendered}");
    }
}
