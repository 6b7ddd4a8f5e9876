//! A request as a block of letters that survives a chat, and what was pasted back.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

const BEGIN: &str = "-----BEGIN INCIDENT REQUEST-----";
const END: &str = "-----END INCIDENT REQUEST-----";
const BEGIN_LENT: &str = "-----BEGIN INCIDENT DELEGATION-----";
const END_LENT: &str = "-----END INCIDENT DELEGATION-----";
const BEGIN_SIG: &str = "-----BEGIN SSH SIGNATURE-----";
const END_SIG: &str = "-----END SSH SIGNATURE-----";

/// Why nothing can be taken from a paste.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadPaste {
    /// A block begins and does not end.
    #[error("the block is cut short: its last line is not there")]
    Cut,
    /// More than one.
    #[error("there is more than one block; give them one by one")]
    Several,
    /// Something was changed on the way.
    #[error("the block was damaged on the way")]
    Damaged,
}

/// Folds a statement into letters that no chat changes.
pub fn wrap(statement: &str) -> String {
    folded(BEGIN, statement, END)
}

/// The same for a lent role, its signature behind it.
pub fn wrap_delegation(text: &str, signature: &str) -> String {
    folded(BEGIN_LENT, &format!("{text}{signature}"), END_LENT)
}

/// A lent role and its signature in what was pasted; `None` where there is none.
pub fn delegation_in(pasted: &[u8]) -> Result<Option<(String, String)>, BadPaste> {
    let Some(body) = between(&String::from_utf8_lossy(pasted), BEGIN_LENT, END_LENT)? else {
        return Ok(None);
    };
    let both = STANDARD.decode(body).ok().and_then(|b| String::from_utf8(b).ok());
    let both = both.ok_or(BadPaste::Damaged)?;
    let at = both.find(BEGIN_SIG).ok_or(BadPaste::Damaged)?;
    let (text, signature) = both.split_at(at);
    Ok(Some((text.to_owned(), signature.to_owned())))
}

fn folded(begin: &str, text: &str, end: &str) -> String {
    let body = STANDARD.encode(text);
    let lines = body.as_bytes().chunks(70).map(String::from_utf8_lossy);
    let lines: Vec<_> = lines.collect();
    format!("{begin}\n{}\n{end}\n", lines.join("\n"))
}

/// The statement in what was pasted: from a block, with whatever a chat put around it, else the text as it is.
pub fn statement_in(pasted: &[u8]) -> Result<Vec<u8>, BadPaste> {
    let text = String::from_utf8_lossy(pasted);
    match between(&text, BEGIN, END)? {
        Some(body) => STANDARD.decode(body).map_err(|_| BadPaste::Damaged),
        None => Ok(pasted.to_vec()),
    }
}

/// The armoured signature in what was pasted; `None` where there is none.
pub fn signature_in(pasted: &[u8]) -> Result<Option<String>, BadPaste> {
    let body = between(&String::from_utf8_lossy(pasted), BEGIN_SIG, END_SIG)?;
    Ok(body.map(|body| format!("{BEGIN_SIG}\n{body}\n{END_SIG}\n")))
}

/// True where this line ends a block that somebody is pasting.
pub fn ends(line: &str) -> bool {
    line.contains(END) || line.contains(END_SIG) || line.contains(END_LENT)
}

/// The letters between two lines, without what quotes them (`> `, `| `, code fences, line ends).
fn between(text: &str, begin: &str, end: &str) -> Result<Option<String>, BadPaste> {
    let Some((_, after)) = text.split_once(begin) else {
        return Ok(None);
    };
    let (body, rest) = after.split_once(end).ok_or(BadPaste::Cut)?;
    if rest.contains(begin) || body.contains(begin) {
        return Err(BadPaste::Several);
    }
    let quoting = |c: char| c.is_whitespace() || matches!(c, '>' | '|' | '`');
    Ok(Some(
        body.lines().map(|line| line.trim_matches(quoting)).collect(),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "incident-signoff v1\nincident: INC-20261122-0314-k7qf\ntitle: \"x > y | z\"\n";

    #[test]
    fn a_block_survives_what_chats_do() {
        let block = wrap(TEXT);
        assert!(block.lines().all(|l| l.len() <= 70));
        let quoted: String = block.lines().map(|l| format!("  > {l}\r\n")).collect();
        for pasted in [
            block.clone(),
            quoted,
            format!("Ana wrote at 03:14:\n```\n{block}```\nplease look\n"),
        ] {
            assert_eq!(statement_in(pasted.as_bytes()), Ok(TEXT.as_bytes().to_vec()));
        }
        assert_eq!(statement_in(TEXT.as_bytes()), Ok(TEXT.as_bytes().to_vec()));
        let cut = &block[..block.len() - 20];
        assert_eq!(statement_in(cut.as_bytes()), Err(BadPaste::Cut));
        assert_eq!(statement_in(block.repeat(2).as_bytes()), Err(BadPaste::Several));
        let bent = block.replacen("aW5j", "aW!j", 1);
        assert_eq!(statement_in(bent.as_bytes()), Err(BadPaste::Damaged));
    }

    #[test]
    fn a_signature_is_found_among_words() {
        let armour = format!("{BEGIN_SIG}\nU1NIU0lH\nAAAA\n{END_SIG}\n");
        let said = format!("ben: here you are\n> {}", armour.replace('\n', "\n> "));
        let found = signature_in(said.as_bytes()).unwrap().unwrap();
        assert_eq!(found, format!("{BEGIN_SIG}\nU1NIU0lHAAAA\n{END_SIG}\n"));
        assert_eq!(signature_in(b"ok from me"), Ok(None));
        assert_eq!(signature_in(BEGIN_SIG.as_bytes()), Err(BadPaste::Cut));
        let lent = wrap_delegation(TEXT, &armour);
        let quoted = format!("> {}", lent.replace('\n', "\r\n> "));
        let both = Ok(Some((TEXT.to_owned(), armour.clone())));
        assert_eq!(delegation_in(quoted.as_bytes()), both);
        assert_eq!(delegation_in(armour.as_bytes()), Ok(None));
        assert_eq!(
            delegation_in(&lent.as_bytes()[..lent.len() - 20]),
            Err(BadPaste::Cut)
        );
        assert!(ends(END_LENT) && ends(&format!("> {END_SIG}")) && !ends(BEGIN_SIG));
    }
}
