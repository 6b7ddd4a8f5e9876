//! AWS credentials in the shapes in which they are kept.

use serde_json::Value;
use zeroize::Zeroizing;

use crate::model::secret::Secret;

/// An access key with its secret, and the token of a session where it is one.
pub(super) struct Keys {
    /// Access key id; not a secret.
    pub id: String,
    /// Secret access key.
    pub secret: Secret,
    /// Session token.
    pub token: Option<Secret>,
}

/// The credentials cannot be read. Says what shape was expected, never what was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum KeysError {
    /// None of the shapes.
    #[error(
        "the AWS credentials are neither what `aws configure export-credentials` prints, nor ID:SECRET or \
         ID:SECRET:TOKEN, nor lines of aws_access_key_id and aws_secret_access_key"
    )]
    Shape,
    /// Several profiles in one file.
    #[error(
        "the AWS credentials hold several profiles; print one: aws configure export-credentials --profile NAME"
    )]
    Several,
}

impl Keys {
    /// Reads one of the usual shapes. A bare secret access key needs its id from elsewhere: `id`.
    pub fn parse(from: &Secret, id: Option<&str>) -> Result<Keys, KeysError> {
        let text = from.expose().trim();
        if text.starts_with('{') {
            return json(text).ok_or(KeysError::Shape);
        }
        if text.contains('=') && text.to_ascii_lowercase().contains("aws_access_key_id") {
            return lines(text);
        }
        let mut parts = text.splitn(3, ':');
        match (parts.next(), parts.next(), parts.next(), id) {
            (Some(key), Some(secret), token, _) if is_id(key) => {
                Keys::of(key, secret, token).ok_or(KeysError::Shape)
            }
            (Some(secret), None, None, Some(id)) if secret.len() == 40 => {
                Keys::of(id, secret, None).ok_or(KeysError::Shape)
            }
            _ => Err(KeysError::Shape),
        }
    }

    /// The keys, where they can be sent in a header.
    pub fn of(id: &str, secret: &str, token: Option<&str>) -> Option<Keys> {
        let fit = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_graphic());
        let kept = |text: &str| Secret::new(text.to_owned());
        (is_id(id) && fit(secret) && token.is_none_or(fit)).then(|| Keys {
            id: id.to_owned(),
            secret: kept(secret),
            token: token.map(kept),
        })
    }

    /// `ID:SECRET:TOKEN`, which [`Keys::parse`] reads again.
    pub fn packed(&self) -> Secret {
        match &self.token {
            Some(token) => Secret::joined(&[&self.id, ":", self.secret.expose(), ":", token.expose()]),
            None => Secret::joined(&[&self.id, ":", self.secret.expose()]),
        }
    }
}

/// True for what stands where an access key id does. Emulators use prefixes of their own.
pub(super) fn is_id(text: &str) -> bool {
    (3..=128).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
}

/// `{"AccessKeyId": …}`, alone or as STS gives it, under `Credentials`.
fn json(text: &str) -> Option<Keys> {
    let value: Value = serde_json::from_str(text).ok()?;
    let inner = value.get("Credentials").unwrap_or(&value);
    let field = |name: &str| inner.get(name).and_then(Value::as_str).filter(|v| !v.is_empty());
    Keys::of(
        field("AccessKeyId")?,
        field("SecretAccessKey")?,
        field("SessionToken"),
    )
}

/// `aws_access_key_id = …`, as in a profile file or as variables of a shell.
fn lines(text: &str) -> Result<Keys, KeysError> {
    let mut found: [Option<Zeroizing<String>>; 3] = Default::default();
    for line in text.lines() {
        let line = line.trim();
        let line = line.strip_prefix("export ").unwrap_or(line);
        let Some((name, value)) = line.split_once('=') else {
            continue;
        };
        let names = ["aws_access_key_id", "aws_secret_access_key", "aws_session_token"];
        let name = name.trim().to_ascii_lowercase();
        let Some(at) = names.iter().position(|n| *n == name) else {
            continue;
        };
        let value = value.trim().trim_matches(['"', '\'']);
        if found[at].replace(Zeroizing::new(value.to_owned())).is_some() {
            return Err(KeysError::Several);
        }
    }
    let [Some(id), Some(secret), token] = found else {
        return Err(KeysError::Shape);
    };
    Keys::of(&id, &secret, token.as_deref().map(String::as_str)).ok_or(KeysError::Shape)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "AKIAIOSFODNN7EXAMPLE";
    const SECRET: &str = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY";

    fn read(text: &str) -> Result<(String, String, Option<String>), KeysError> {
        let text = Secret::new(text.replace("ID", ID).replace("SECRET", SECRET));
        Keys::parse(&text, Some("AKIAOTHER")).map(|k| {
            let text = |s: &Secret| s.expose().to_owned();
            (k.id.clone(), text(&k.secret), k.token.as_ref().map(text))
        })
    }

    #[test]
    fn every_usual_shape_is_read() {
        let plain = Ok((ID.to_owned(), SECRET.to_owned(), None));
        let session = Ok((ID.to_owned(), SECRET.to_owned(), Some("tok:en=".to_owned())));
        assert_eq!(read("ID:SECRET\n"), plain);
        assert_eq!(read("ID:SECRET:tok:en="), session);
        let named = |token: &str| {
            format!(
                "{{\"Version\": 1, \"{a}\": \"{ID}\", \"{b}\": \"{SECRET}\"{token}}}",
                a = "AccessKeyId",
                b = "SecretAccessKey"
            )
        };
        assert_eq!(
            Keys::parse(&Secret::new(named("")), None).map(|k| k.id).ok(),
            Some(ID.to_owned())
        );
        let sts = format!("{{\"Credentials\": {}}}", named(", \"SessionToken\": \"t\""));
        let keys = Keys::parse(&Secret::new(sts), None).ok().unwrap();
        assert_eq!(keys.token.unwrap().expose(), "t");
        let profile =
            format!("[default]\nregion = x\naws_access_key_id = {ID}\naws_secret_access_key={SECRET}\n");
        assert_eq!(
            Keys::parse(&Secret::new(profile.clone()), None)
                .map(|k| k.id)
                .ok(),
            Some(ID.to_owned())
        );
        let shell = format!("export AWS_ACCESS_KEY_ID={ID}\nexport AWS_SECRET_ACCESS_KEY='{SECRET}'");
        assert_eq!(
            Keys::parse(&Secret::new(shell), None).map(|k| k.id).ok(),
            Some(ID.to_owned())
        );
        let two = Secret::new(profile.repeat(2));
        assert_eq!(
            Keys::parse(&two, None).map(|k| k.id).err(),
            Some(KeysError::Several)
        );
    }

    #[test]
    fn a_bare_secret_needs_its_id_from_elsewhere() {
        let bare = Secret::new(SECRET.to_owned());
        assert_eq!(
            Keys::parse(&bare, Some(ID)).map(|k| k.id).ok(),
            Some(ID.to_owned())
        );
        assert_eq!(
            Keys::parse(&bare, None).map(|k| k.id).err(),
            Some(KeysError::Shape)
        );
    }

    #[test]
    fn what_could_not_be_sent_is_refused_without_a_word_of_it() {
        for text in [
            "",
            "hunter2",
            "{}",
            "a b:c",
            "ID:sec\nret",
            "ID:\u{e9}",
            "aws_access_key_id=ID",
        ] {
            let error = read(text).unwrap_err().to_string();
            assert!(!error.contains("hunter2") && error.contains("neither"), "{error}");
        }
    }
}
