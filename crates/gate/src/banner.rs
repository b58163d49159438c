//! What a person sees when the gateway starts: where it listens, which key
//! works, and the two lines that change in a program.

use std::fmt::Write as _;

use plan::Plan;

/// What the banner tells.
pub(crate) struct Banner<'a> {
    /// Address of the data listener, such as `http://127.0.0.1:4100`.
    pub(crate) data: &'a str,
    /// Address of the admin listener.
    pub(crate) admin: &'a str,
    /// Where records are kept.
    pub(crate) data_dir: &'a str,
    /// Names of the providers, in order.
    pub(crate) providers: &'a [&'a str],
    /// A model to try.
    pub(crate) model: &'a str,
    /// The development key, where one was made.
    pub(crate) dev_key: Option<&'a str>,
    /// Digest of the plan.
    pub(crate) plan: &'a str,
}

/// The banner as text.
pub(crate) fn render(banner: &Banner<'_>) -> String {
    let Banner {
        data,
        admin,
        data_dir,
        model,
        plan,
        ..
    } = banner;
    let key = banner.dev_key.unwrap_or("<your key>");
    let mut out = String::new();
    let _ = writeln!(out, "tollgate {} is ready", env!("CARGO_PKG_VERSION"));
    let _ = writeln!(out, "  data       {data}");
    let _ = writeln!(out, "  admin      {admin}   (metrics at /metrics)");
    let _ = writeln!(out, "  records    {data_dir}");
    let _ = writeln!(out, "  providers  {}", banner.providers.join(", "));
    let _ = writeln!(out, "  plan       {plan}");
    if let Some(key) = banner.dev_key {
        let _ = writeln!(
            out,
            "  key        {key}   (development only: works on this machine)"
        );
    }
    if banner.providers.is_empty() {
        let _ = write!(out, "{NO_PROVIDER}\n{END}");
        return out;
    }
    if model.contains('<') {
        let _ = writeln!(
            out,
            "\nNo model is named in the configuration: put one of the provider's in the place of \
             {model}."
        );
    }
    let _ = write!(
        out,
        "
Try it:
  curl {data}/v1/chat/completions -H 'Authorization: Bearer {key}' \\
    -H 'Content-Type: application/json' \\
    -d '{{\"model\":\"{model}\",\"messages\":[{{\"role\":\"user\",\"content\":\"Hello\"}}]}}'

OpenAI SDK:     client = OpenAI(base_url=\"{data}/v1\", api_key=\"{key}\")
Anthropic SDK:  client = Anthropic(base_url=\"{data}\", api_key=\"{key}\")

{END}"
    );
    out
}

/// The last line.
const END: &str = "See what happened: tollgate logs\n";

/// What to do where nothing can be called yet.
const NO_PROVIDER: &str = "
No provider is configured, so there is no model to call yet. Write one of these into the
configuration; it takes effect when the file is saved:

  providers: auto             # those whose keys the environment holds
  providers: {sandbox: {}}    # the built-in test model, as sandbox/echo
";

/// A model worth trying: the first configured one, else what the first
/// provider is known for, else a place for one of its own.
pub(crate) fn model(plan: &Plan) -> String {
    let named = plan.models.names().map(|(name, _)| name).next();
    let served = plan.providers.iter().find_map(|provider| {
        provider
            .kind
            .serves
            .iter()
            .find(|pattern| !pattern.contains('*'))
            .copied()
    });
    let first = plan.providers.first().map(|provider| &*provider.name);
    named.or(served).map_or_else(
        || format!("{}/<model>", first.unwrap_or("<provider>")),
        str::to_owned,
    )
}
