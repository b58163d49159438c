//! What is found in an environment.

use super::Fake;
use crate::*;

type Env = &'static [(&'static str, &'static str)];

fn found(env: Env, ports: &[u16]) -> Discovery {
    let fake = Fake::new(env, &[]);
    discover(&|name| fake.env(name), ports)
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
            &["bedrock"],
        ),
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
        // A profile needs files that this case does not have.
        if !env.iter().any(|(name, _)| *name == "AWS_PROFILE") {
            compile(&draft, &given).unwrap_or_else(|bad| panic!("{}", render(&bad, "env", false)));
        }
    }
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
