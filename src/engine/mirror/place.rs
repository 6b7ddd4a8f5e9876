//! A place off this host, as a person writes it.

use std::fmt;
use std::str::FromStr;

/// Where a copy of every record goes while the incident runs.
///
/// It comes from the responder alone, never from the folder with the runbook, which an agent may write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// A folder on a host that the responder's own ssh reaches.
    Ssh {
        /// `user@host`, or a name of the responder's ssh configuration.
        host: String,
        /// Where its sshd listens, if not where the configuration says.
        port: Option<u16>,
        /// Absolute, or below the home there: `[A-Za-z0-9._/-]` only, so that no shell over there can misread it.
        folder: String,
    },
    /// A branch, named after the incident, of a repository that the responder's own git may push to.
    Git {
        /// As git takes it.
        url: String,
    },
    /// A bucket that the responder's own `aws` may write to.
    S3 {
        /// Its name.
        bucket: String,
        /// What the keys begin with; empty, or ending in a slash.
        prefix: String,
    },
}

const HOW: &str = "write it as ssh://user@host/folder, git:URL or s3://bucket/prefix";

impl FromStr for Place {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text.len() > 400 || !text.bytes().all(|b| b.is_ascii_graphic()) {
            return Err(HOW.to_owned());
        }
        if let Some(rest) = text.strip_prefix("ssh://") {
            return ssh(rest);
        }
        if let Some(url) = text.strip_prefix("git:") {
            return git(url);
        }
        if let Some(rest) = text.strip_prefix("s3://") {
            return s3(rest);
        }
        Err(HOW.to_owned())
    }
}

fn plain(text: &str, more: &str) -> bool {
    text.chars()
        .all(|c| c.is_ascii_alphanumeric() || more.contains(c))
}

fn ssh(rest: &str) -> Result<Place, String> {
    let (at, folder) = rest
        .split_once('/')
        .ok_or("name a folder: ssh://user@host/folder")?;
    let (host, port) = match at.rsplit_once(':') {
        None => (at, None),
        Some((host, port)) => (host, Some(port.parse().map_err(|_| "the port is a number")?)),
    };
    // What begins with a dash would be an option of ssh.
    let named = host
        .split('@')
        .all(|part| part.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '_') && plain(part, "._-"));
    if !named || host.matches('@').count() > 1 {
        return Err(HOW.to_owned());
    }
    let folder = match folder.strip_prefix("~/") {
        Some(below_home) => below_home.trim_end_matches('/').to_owned(),
        None => format!("/{}", folder.trim_end_matches('/')),
    };
    let fits = plain(&folder, "._/-") && !folder.starts_with('-') && !folder.split('/').any(|p| p == "..");
    if !fits || folder.trim_matches('/').is_empty() {
        return Err("the folder is letters, digits and `._/-`, without `..`".to_owned());
    }
    Ok(Place::Ssh {
        host: host.to_owned(),
        port,
        folder,
    })
}

fn git(url: &str) -> Result<Place, String> {
    let scheme = url.split_once("://").map(|(scheme, _)| scheme);
    // `helper::address` runs a program of that name; http and git carry the record in the clear.
    let known = match scheme {
        Some(scheme) => ["https", "ssh", "file"].contains(&scheme),
        None => url.starts_with('/') || url.split_once(':').is_some_and(|(host, _)| plain(host, "@._-")),
    };
    if !known || url.starts_with('-') || url.contains("::") {
        return Err("git goes to https://, ssh://, user@host:path or an absolute path".to_owned());
    }
    // Over HTTPS a token may stand for the name as well, or behind a `?`; the address is written down.
    let secret = url::Url::parse(url).is_ok_and(|url| {
        let named = url.scheme() == "https" && !url.username().is_empty();
        url.password().is_some() || url.query().is_some() || named
    });
    if secret {
        return Err(
            "a password or token has no place in an address: let git's own helper hold it".to_owned(),
        );
    }
    Ok(Place::Git { url: url.to_owned() })
}

fn s3(rest: &str) -> Result<Place, String> {
    let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
    let named = (3..=63).contains(&bucket.len()) && bucket.starts_with(|c: char| c.is_ascii_alphanumeric());
    if !named || !plain(bucket, ".-") || !plain(prefix, "._/-") {
        return Err(HOW.to_owned());
    }
    let prefix = prefix.trim_matches('/');
    Ok(Place::S3 {
        bucket: bucket.to_owned(),
        prefix: match prefix {
            "" => String::new(),
            prefix => format!("{prefix}/"),
        },
    })
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Place::Ssh { host, port, folder } => {
                write!(f, "ssh://{host}")?;
                if let Some(port) = port {
                    write!(f, ":{port}")?;
                }
                match folder.starts_with('/') {
                    true => f.write_str(folder),
                    false => write!(f, "/~/{folder}"),
                }
            }
            Place::Git { url } => write!(f, "git:{url}"),
            Place::S3 { bucket, prefix } => write!(f, "s3://{bucket}/{}", prefix.trim_end_matches('/')),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Place;

    #[test]
    fn a_place_is_what_was_written() {
        for text in [
            "ssh://ana@vault.example:2222/srv/incidents",
            "ssh://vault/~/incidents",
            "git:https://git.example/team/records.git",
            "git:git@git.example:team/records.git",
            "git:/mnt/records.git",
            "s3://records/incidents",
            "s3://records/",
        ] {
            assert_eq!(text.parse::<Place>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn what_a_program_could_misread_is_no_place() {
        for text in [
            "",
            "vault:/srv",
            "ssh://vault",
            "ssh://vault/",
            "ssh://-oProxyCommand=x/srv",
            "ssh://ana@-x/srv",
            "ssh://a@b@c/srv",
            "ssh://vault:x/srv",
            "ssh://vault/srv;id",
            "ssh://vault/srv/../etc",
            "ssh://vault/$(id)",
            "ssh://vault/a b",
            "ssh://vault/~/-rf",
            "git:ext::sh -c id",
            "git:ext::sh",
            "git:--upload-pack=id",
            "git:http://git.example/x",
            "git:https://ana:secret@git.example/x",
            "git:https://made-up-token@git.example/x",
            "git:https://git.example/x?token=made-up",
            "s3://-x/y",
            "s3://ab",
            "s3://bucket/a b",
        ] {
            assert!(text.parse::<Place>().is_err(), "{text}");
        }
    }
}
