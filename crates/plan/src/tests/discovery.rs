//! What is found in an environment.

use super::Fake;
use crate::*;

type Env = &'static [(&'static str, &'static str)];

fn found(env: Env, ports: &[u16]) -> Discovery {
    let fake = Fake::new(env, &[]);
    discover(&fake, ports)
}

fn names(discovery: &Discovery) -> Vec<&str> {
    discovery.document.providers.named().names().collect()
}

#[test]
fn providers_of_the_environment() {
    let cases: &[(Env, &[u16], &[&str])] = &[
        (&[], &[], &["sandbox"]),
        (&[("OPENAI_API_KEY", "k")], &[], &["openai"]),
        (&[("OPENAI_API_KEY", "")], &[], &["sandbox"]),
        (&[("OPENAI_BASE_URL", "http://x")], &[], &["sandbox"]),
        (
            &[
                ("ANTHROPIC_API_KEY", "k"),
                ("GOOGLE_API_KEY", "k"),
                ("MISTRAL_API_KEY", "k"),
                ("DASHSCOPE_API_KEY", "k"),
            ],
            &[],
            &["anthropic", "gemini", "mistral", "qwen"],
        ),
        (&[("AZURE_OPENAI_API_KEY", "k")], &[], &["sandbox"]),
        (
            &[
                ("AZURE_OPENAI_API_KEY", "k"),
                ("AZURE_OPENAI_ENDPOINT", "https://a/"),
            ],
            &[],
            &["azure"],
        ),
        (
            &[("AWS_ACCESS_KEY_ID", "a"), ("AWS_SECRET_ACCESS_KEY", "s")],
            &[],
            &["sandbox"],
        ),
        (
            &[
                ("AWS_ACCESS_KEY_ID", "a"),
                ("AWS_SECRET_ACCESS_KEY", "s"),
                ("AWS_REGION", "r"),
            ],
            &[],
            &["bedrock"],
        ),
        (
            &[
                ("AWS_BEARER_TOKEN_BEDROCK", "b"),
                ("AWS_DEFAULT_REGION", "r"),
            ],
            &[],
            &["bedrock"],
        ),
        (
            &[("AWS_PROFILE", "p"), ("AWS_REGION", "r")],
            &[],
            &["sandbox"],
        ),
        (
            &[
                ("AWS_WEB_IDENTITY_TOKEN_FILE", "/var/run/token"),
                ("AWS_ROLE_ARN", "arn:aws:iam::1:role/x"),
                ("AWS_REGION", "r"),
            ],
            &[],
            &["bedrock"],
        ),
        (
            &[
                ("AWS_WEB_IDENTITY_TOKEN_FILE", "/var/run/token"),
                ("AWS_REGION", "r"),
            ],
            &[],
            &["sandbox"],
        ),
        (
            &[
                ("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "/v2/x"),
                ("AWS_REGION", "r"),
            ],
            &[],
            &["bedrock"],
        ),
        (
            &[
                (
                    "AWS_CONTAINER_CREDENTIALS_FULL_URI",
                    "http://evil.example/x",
                ),
                ("AWS_REGION", "r"),
            ],
            &[],
            &["sandbox"],
        ),
        (
            &[
                ("AWS_EC2_METADATA_SERVICE_ENDPOINT", "http://127.0.0.1:1338"),
                ("AWS_REGION", "r"),
            ],
            &[],
            &["bedrock"],
        ),
        (&[("AWS_REGION", "r")], &[], &["sandbox"]),
        (&[], &[11434], &["ollama"]),
        (&[], &[8000, 11434], &["ollama", "vllm"]),
        (&[("OPENAI_API_KEY", "k")], &[11434], &["openai"]),
        (
            &[("OPENAI_API_KEY", "k"), ("VLLM_BASE_URL", "http://v/v1")],
            &[],
            &["openai", "vllm"],
        ),
        (&[("VLLM_API_KEY", "k")], &[], &["sandbox"]),
    ];
    for (env, ports, expected) in cases {
        let discovery = found(env, ports);
        assert_eq!(names(&discovery), *expected, "{env:?} {ports:?}");
        assert_eq!(discovery.is_sandbox, *expected == ["sandbox"]);
        let mut document = discovery.document;
        assert!(document.add_development_key("tg-dev-0123456789abcdef"));
        let fake = Fake::new(env, &[]);
        let draft = Draft::from(document);
        let given = Given {
            sources: &fake,
            ring_key: [1; 32],
            digest_key: [2; 32],
        };
        compile(&draft, &given).unwrap_or_else(|bad| panic!("{}", render(&bad, "env", false)));
    }
}

#[test]
fn a_profile_of_the_environment_brings_its_region() {
    let files = [(
        "h/.aws/config",
        "[profile role]\nregion = eu-west-1\nrole_arn = arn:aws:iam::1:role/x\n\
         source_profile = base\n[profile base]\naws_access_key_id = a\n\
         aws_secret_access_key = s\n[default]\ncredential_process = /opt/keys\n",
    )];
    let fake = Fake::new(&[("HOME", "h"), ("AWS_PROFILE", "role")], &files);
    let discovery = discover(&fake, &[]);
    assert_eq!(names(&discovery), ["bedrock"], "{:?}", discovery.notes);
    let providers = discovery.document.providers.named();
    let (_, entry) = providers.iter().next().expect("one");
    assert_eq!(entry.region.as_deref(), Some("eu-west-1"));
    // A default profile counts only where a variable points to it.
    let fake = Fake::new(&[("HOME", "h"), ("AWS_REGION", "r")], &files);
    assert_eq!(names(&discover(&fake, &[])), ["sandbox"]);
    let pointed = [("AWS_CONFIG_FILE", "h/.aws/config"), ("AWS_REGION", "r")];
    let fake = Fake::new(&pointed, &files);
    assert_eq!(names(&discover(&fake, &[])), ["bedrock"]);
}

#[test]
fn what_is_half_there_is_said() {
    let notes = found(&[("AZURE_OPENAI_API_KEY", "k")], &[]).notes;
    let expected = "AZURE_OPENAI_API_KEY is set but AZURE_OPENAI_ENDPOINT is not, so the provider `azure` is left out.";
    assert_eq!(notes, [expected]);
    let notes = found(
        &[("AWS_ACCESS_KEY_ID", "a"), ("AWS_SECRET_ACCESS_KEY", "s")],
        &[],
    )
    .notes;
    let expected =
        "AWS_ACCESS_KEY_ID is set but AWS_REGION is not, so the provider `bedrock` is left out.";
    assert_eq!(notes, [expected]);
    let notes = found(&[("AWS_PROFILE", "p"), ("AWS_REGION", "r")], &[]).notes;
    let expected = "AWS_PROFILE is set, but there is no profile `p` in the shared files; so the \
                    provider `bedrock` is left out.";
    assert_eq!(notes, [expected]);
}

#[test]
fn addresses_get_what_their_kind_appends() {
    let cases: [(Env, &str); 4] = [
        (
            &[
                ("AZURE_OPENAI_API_KEY", "k"),
                ("AZURE_OPENAI_ENDPOINT", "https://a.example/"),
            ],
            "https://a.example/openai/v1",
        ),
        (
            &[
                ("AZURE_OPENAI_API_KEY", "k"),
                ("AZURE_OPENAI_ENDPOINT", "https://a.example/openai/v1"),
            ],
            "https://a.example/openai/v1",
        ),
        (
            &[("OPENAI_API_KEY", "k"), ("OPENAI_BASE_URL", "http://o/v1")],
            "http://o/v1",
        ),
        (
            &[
                ("GEMINI_API_KEY", "k"),
                ("GOOGLE_GEMINI_BASE_URL", "http://g"),
            ],
            "http://g/v1beta",
        ),
    ];
    for (env, expected) in cases {
        let discovery = found(env, &[]);
        let (_, entry) = discovery
            .document
            .providers
            .named()
            .iter()
            .next()
            .expect("one");
        assert_eq!(entry.base_url.as_deref(), Some(expected));
    }
}

#[test]
fn secrets_are_shown_as_their_variables() {
    let discovery = found(&[("OPENAI_API_KEY", "sk-never-shown")], &[]);
    let shown = show(&discovery.document);
    assert!(
        shown.contains("${env:OPENAI_API_KEY}") && !shown.contains("sk-never-shown"),
        "{shown}"
    );
    assert_eq!(
        discovery.found,
        [("openai".to_owned(), "OPENAI_API_KEY".to_owned())]
    );
}

#[test]
fn the_sandbox_answers_for_every_model_only_where_it_is_alone() {
    let compiled = |discovery: Discovery| {
        let fake = Fake::default();
        let draft = Draft::from(discovery.document);
        let given = Given {
            sources: &fake,
            ring_key: [1; 32],
            digest_key: [2; 32],
        };
        compile(&draft, &given).expect("good").plan
    };
    let plan = compiled(found(&[], &[]));
    let named: Vec<&str> = plan.models.names().map(|(name, _)| name).collect();
    assert_eq!(named, [SANDBOX_MODEL]);
    assert_eq!(
        &*plan.models.resolve(SANDBOX_MODEL).expect("named")[0].model,
        "echo"
    );
    assert!(plan.models.resolve("gpt-5").is_some());
    let plan = compiled(found(&[("ANTHROPIC_API_KEY", "k")], &[]));
    assert!(plan.models.resolve(SANDBOX_MODEL).is_none());
    assert!(plan.models.resolve("gpt-5").is_none());
    assert!(plan.models.resolve("claude-opus-4").is_some());
    let plan = compiled(found(&[], &[11434]));
    assert!(plan.models.resolve("llama3.3").is_some());
    let plan = compiled(found(&[], &[11434, 8000]));
    assert!(
        plan.models.resolve("llama3.3").is_none(),
        "two that serve anything: the caller must say which"
    );
    assert!(plan.models.resolve("vllm/llama3.3").is_some());
}

#[test]
fn auto_fills_in_and_written_documents_stay() {
    let fake = Fake::default();
    let mut auto = read("providers: auto\nmodels: {fast: openai/gpt-5}\n", &fake)
        .expect("good")
        .document;
    auto.fill_auto(found(&[("OPENAI_API_KEY", "k")], &[]));
    assert_eq!(
        auto.providers.named().names().collect::<Vec<_>>(),
        ["openai"]
    );
    assert_eq!(auto.models.names().collect::<Vec<_>>(), ["fast"]);
    let mut written = read("keys: [{id: a, secret: tg-0123456789012345678}]\n", &fake)
        .expect("good")
        .document;
    written.fill_auto(found(&[("OPENAI_API_KEY", "k")], &[]));
    assert!(written.providers.named().is_empty());
    assert!(!written.add_development_key("tg-dev-0123456789abcdef"));
    assert_eq!(written.keys.len(), 1);
}
