//! Which kind of provider of ours is which of theirs.

/// A kind of provider.
pub(super) struct Kind {
    /// Its name in `crates/providers`.
    pub(super) name: &'static str,
    /// What LiteLLM calls it, first come first served, with what stands in front of models there.
    pub(super) litellm: &'static [(&'static str, &'static str)],
    /// What genai-prices calls it.
    pub(super) genai: Option<&'static str>,
    /// What its line in the catalog says besides.
    pub(super) words: &'static str,
}

const fn kind(
    name: &'static str,
    litellm: &'static [(&'static str, &'static str)],
    genai: Option<&'static str>,
) -> Kind {
    Kind {
        name,
        litellm,
        genai,
        words: "",
    }
}

/// The kinds that have prices. Servers that people run themselves have none here.
pub(super) const KINDS: &[Kind] = &[
    kind(
        "openai",
        &[("openai", ""), ("text-completion-openai", "")],
        Some("openai"),
    ),
    kind("anthropic", &[("anthropic", "")], Some("anthropic")),
    kind("gemini", &[("gemini", "gemini/")], Some("google")),
    Kind {
        // A deployment may bear any name; one that bears a model's is taken for it. Where a model
        // is not listed there, its maker's price holds, as genai-prices has it.
        words: "also=openai",
        ..kind(
            "azure",
            &[("azure", "azure/"), ("azure_ai", "azure_ai/")],
            Some("azure"),
        )
    },
    Kind {
        // Inference profiles: the same model by way of a group of regions. A group costs what
        // another does, more than the model by itself; see
        // docs.aws.amazon.com/bedrock/latest/userguide/inference-profiles-support.html
        words: "prefixes=us.,eu.,apac.,jp.,au.,ca.,us-gov.,global.",
        ..kind(
            "bedrock",
            &[
                ("bedrock", "bedrock/"),
                ("bedrock_converse", ""),
                ("bedrock_mantle", "bedrock_mantle/"),
            ],
            Some("aws"),
        )
    },
    kind(
        "mistral",
        &[("mistral", "mistral/"), ("codestral", "codestral/")],
        Some("mistral"),
    ),
    kind("deepseek", &[("deepseek", "deepseek/")], Some("deepseek")),
    kind("qwen", &[("dashscope", "dashscope/")], None),
    kind("moonshot", &[("moonshot", "moonshot/")], Some("moonshotai")),
    kind("zhipu", &[("zai", "zai/")], Some("zai")),
    kind("doubao", &[("volcengine", "volcengine/")], None),
    kind("minimax", &[("minimax", "minimax/")], Some("minimax")),
    kind("xai", &[("xai", "xai/")], Some("x-ai")),
    kind(
        "cohere",
        &[("cohere", "cohere/"), ("cohere_chat", "")],
        Some("cohere"),
    ),
    kind("groq", &[("groq", "groq/")], Some("groq")),
    kind(
        "together",
        &[("together_ai", "together_ai/")],
        Some("together"),
    ),
    kind(
        "fireworks",
        &[("fireworks_ai", "fireworks_ai/")],
        Some("fireworks"),
    ),
    kind(
        "openrouter",
        &[("openrouter", "openrouter/")],
        Some("openrouter"),
    ),
    kind(
        "perplexity",
        &[("perplexity", "perplexity/")],
        Some("perplexity"),
    ),
];
