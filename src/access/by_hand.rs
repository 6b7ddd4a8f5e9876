//! Where a person revokes what no adapter can cut with nothing but the secret itself.

/// Kind of secret as the shapes name it, and the exact command or console path.
const PLACES: [(&str, &str); 22] = [
    (
        "anthropic",
        "console.anthropic.com, Settings, API keys, Disable; a login: claude.ai, Settings, Log out of all devices",
    ),
    ("atlassian", "id.atlassian.com, Security, API tokens, Revoke"),
    (
        "aws",
        "aws iam update-access-key --status Inactive --access-key-id ID --user-name USER",
    ),
    (
        "azure",
        "az storage account keys renew, or Entra ID, App registrations, Certificates & secrets",
    ),
    (
        "databricks",
        "workspace Settings, Developer, Access tokens, Revoke",
    ),
    ("digitalocean", "cloud.digitalocean.com, API, Tokens, Delete"),
    (
        "docker",
        "app.docker.com, Account settings, Personal access tokens",
    ),
    ("fly", "fly tokens revoke ID"),
    (
        "gcp",
        "gcloud auth revoke, or console.cloud.google.com, APIs & Services, Credentials",
    ),
    (
        "github",
        "github.com/settings/tokens; an app's token: github.com/settings/installations",
    ),
    ("gitlab", "User settings, Access tokens, Revoke"),
    ("grafana", "Administration, Service accounts, Tokens"),
    ("huggingface", "huggingface.co/settings/tokens"),
    ("npm", "npm token revoke ID"),
    (
        "openai",
        "platform.openai.com, Settings, API keys; a login: chatgpt.com, Settings, Security, Log out of all devices",
    ),
    (
        "private-key",
        "take its public half out of authorized_keys and of every account that trusts it",
    ),
    ("pypi", "pypi.org/manage/account, API tokens, Remove"),
    (
        "slack",
        "api.slack.com/apps, the app, OAuth & Permissions, Revoke tokens",
    ),
    ("stripe", "dashboard.stripe.com/apikeys, the key, Roll or Delete"),
    ("supabase", "supabase.com/dashboard/account/tokens, Revoke"),
    ("terraform", "app.terraform.io/app/settings/tokens"),
    ("vault", "VAULT_TOKEN=… vault token revoke -self"),
];

/// The exact command or console path for a kind of secret.
pub fn by_hand(kind: &str) -> &'static str {
    let found = PLACES.iter().find(|(name, _)| *name == kind);
    found.map_or(
        "find out what it opens, and revoke or rotate it there",
        |(_, how)| how,
    )
}
