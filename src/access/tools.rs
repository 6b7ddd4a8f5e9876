//! Stores of command-line tools in a home: not made for agents, and open to any that runs as its user.

use std::path::Path;

use super::Whose;
use super::look::{Format, Look};

/// File below the home, format.
const STORES: [(&str, Format); 40] = [
    (".config/gh/hosts.yml", Format::Lines),
    (".config/glab-cli/config.yml", Format::Lines),
    (".config/hub", Format::Lines),
    (".git-credentials", Format::Lines),
    (".config/git/credentials", Format::Lines),
    (".netrc", Format::Lines),
    (".vault-token", Format::Whole),
    (".aws/credentials", Format::Lines),
    (
        ".config/gcloud/application_default_credentials.json",
        Format::Json,
    ),
    (".azure/msal_token_cache.json", Format::Json),
    (".azure/accessTokens.json", Format::Json),
    (".kube/config", Format::Lines),
    (".docker/config.json", Format::Json),
    (".npmrc", Format::Lines),
    (".yarnrc.yml", Format::Lines),
    (".pypirc", Format::Lines),
    (".cargo/credentials.toml", Format::Lines),
    (".gem/credentials", Format::Lines),
    (".pgpass", Format::Lines),
    (".my.cnf", Format::Lines),
    (".terraform.d/credentials.tfrc.json", Format::Json),
    (".terraformrc", Format::Lines),
    (".railway/config.json", Format::Json),
    (".fly/config.yml", Format::Lines),
    (".local/share/com.vercel.cli/auth.json", Format::Json),
    (".config/com.vercel.cli/auth.json", Format::Json),
    (".supabase/access-token", Format::Whole),
    (".config/neonctl/credentials.json", Format::Json),
    (".config/stripe/config.toml", Format::Lines),
    (".config/doctl/config.yaml", Format::Lines),
    (".config/.wrangler/config/default.toml", Format::Lines),
    (".wrangler/config/default.toml", Format::Lines),
    (".databrickscfg", Format::Lines),
    (".config/heroku/config.json", Format::Json),
    (".oci/config", Format::Lines),
    (".okta/okta.yaml", Format::Lines),
    (".slack/credentials.json", Format::Json),
    (
        "Library/Application Support/com.vercel.cli/auth.json",
        Format::Json,
    ),
    ("Library/Application Support/doctl/config.yaml", Format::Lines),
    ("Library/Preferences/.wrangler/config/default.toml", Format::Lines),
];

/// Folders of which every file is a store.
const FOLDERS: [&str; 2] = [".aws/sso/cache", ".aws/cli/cache"];

pub(super) fn look(look: &mut Look<'_>, home: &Path, whose: Whose) {
    for (file, format) in STORES {
        look.file(home, Path::new(file), format, whose, None);
    }
    for folder in FOLDERS {
        for name in look.list(home, Path::new(folder), 64) {
            look.file(home, &Path::new(folder).join(name), Format::Json, whose, None);
        }
    }
    for name in look.list(home, Path::new(".ssh"), 256) {
        let text = name.to_str().unwrap_or_default();
        if text.starts_with("id_") && !text.ends_with(".pub") {
            look.file(home, &Path::new(".ssh").join(name), Format::Whole, whose, None);
        }
    }
}
