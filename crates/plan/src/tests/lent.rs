//! Where keys for signed requests are borrowed, as the document says it.

use super::bad::check;
use super::{Fake, good_with};

#[test]
fn credentials_of_signed_requests() {
    check(
        "providers:\n  a: {kind: bedrock, region: r, aws: {credentials: imds}}\n",
        &[(
            2,
            52,
            "there is no source `imds`",
            "the sources are `chain`, `web_identity`, `container`, `instance`",
        )],
    );
    check(
        "providers:\n  a: {kind: bedrock, region: r, aws: {credentials: container}}\n  \
         b: {kind: bedrock, region: r, aws: {credentials: chain, profile: p}}\n  \
         c: {kind: bedrock, region: r, aws: {}}\n  \
         d: {kind: bedrock, region: r, aws: {profile: p}}\n",
        &[
            (
                2,
                52,
                "neither AWS_CONTAINER_CREDENTIALS_RELATIVE_URI nor \
                 AWS_CONTAINER_CREDENTIALS_FULL_URI is set",
                "give the task or pod a role; its platform then sets one of them",
            ),
            (
                3,
                52,
                "both a profile and `credentials` are there",
                "keep one of the two",
            ),
            (
                4,
                38,
                "no credential is here",
                "write a `profile`, or `credentials: chain`",
            ),
            (
                5,
                48,
                "there is no profile `p` in the shared files",
                "name a profile of `~/.aws/config` or `~/.aws/credentials`",
            ),
        ],
    );
}

#[test]
fn temporary_keys_are_borrowed_where_the_document_says() {
    let env = [
        ("HOME", "h"),
        ("AWS_WEB_IDENTITY_TOKEN_FILE", "/t"),
        ("AWS_ROLE_ARN", "arn:r"),
        ("AWS_CONTAINER_CREDENTIALS_FULL_URI", "http://127.0.0.1/x"),
        ("AWS_REGION", "eu-west-1"),
    ];
    let config = "[profile p]\nregion = us-west-2\nrole_arn = arn:p\n\
                  credential_source = Ec2InstanceMetadata\n";
    let fake = Fake::new(&env, &[("h/.aws/config", config)]);
    let lenders = |text: &str| -> Vec<String> {
        let (_, compiled) = good_with(text, &fake);
        let providers = compiled.plan.providers.iter();
        providers
            .map(|provider| {
                let host = &provider.endpoint.as_ref().expect("remote").host;
                assert_eq!(host, "bedrock-runtime.eu-west-1.amazonaws.com");
                let lender = provider.account.lender.as_ref().expect("temporary");
                lender.name().to_owned()
            })
            .collect()
    };
    let text = "providers:
  a: {kind: bedrock, aws: {credentials: chain}}
  b: {kind: bedrock, aws: {credentials: web_identity}}
  c: {kind: bedrock, aws: {credentials: container}}
  d: {kind: bedrock, aws: {credentials: instance}}
  e: {kind: bedrock, aws: {profile: p}}
";
    let expected = [
        "web identity (role arn:r, token file /t)",
        "web identity (role arn:r, token file /t)",
        "container credentials at 127.0.0.1",
        "instance metadata at 169.254.169.254",
        "assumed role arn:p by instance metadata at 169.254.169.254",
    ];
    assert_eq!(lenders(text), expected);
}
