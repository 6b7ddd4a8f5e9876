//! Reads the XML that cloud providers answer with, strictly and within limits.
//!
//! Elements, attributes (skipped), text, the five entities and character references. No document type,
//! no CDATA, no namespaces: what has them is refused, because nobody we ask sends them.

/// Largest document that is read, in bytes.
const BYTES: usize = 1 << 20;
/// Deepest nesting.
const DEPTH: usize = 16;
/// Most elements.
const ELEMENTS: usize = 20_000;

/// One element.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Element {
    /// Its name, as written.
    pub name: String,
    /// Its own text, without that of its children; surrounding space is gone.
    pub text: String,
    /// Its children in order.
    pub children: Vec<Element>,
}

impl Element {
    /// The first descendant at this path of names.
    pub fn at(&self, path: &[&str]) -> Option<&Element> {
        path.iter().try_fold(self, |element, name| {
            element.children.iter().find(|child| child.name == *name)
        })
    }

    /// The text of the first descendant at this path.
    pub fn text_at(&self, path: &[&str]) -> Option<&str> {
        self.at(path).map(|element| element.text.as_str())
    }
}

/// The document cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the answer is not XML that can be read: {why} at byte {at}")]
pub(super) struct XmlError {
    /// What is wrong.
    pub why: &'static str,
    /// Where.
    pub at: usize,
}

/// Reads one document.
pub(super) fn parse(bytes: &[u8]) -> Result<Element, XmlError> {
    let wrong = |why, at| XmlError { why, at };
    if bytes.len() > BYTES {
        return Err(wrong("it is longer than a megabyte", BYTES));
    }
    let text = std::str::from_utf8(bytes).map_err(|e| wrong("it is not UTF-8", e.valid_up_to()))?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut reader = Reader {
        text,
        at: 0,
        elements: 0,
    };
    reader.space();
    if reader.eat("<?xml") {
        reader.until("?>")?;
        reader.space();
    }
    reader.need("<")?;
    let root = reader.element(0)?;
    reader.space();
    match reader.rest().is_empty() {
        true => Ok(root),
        false => Err(reader.wrong("something follows the document")),
    }
}

struct Reader<'t> {
    text: &'t str,
    at: usize,
    elements: usize,
}

impl<'t> Reader<'t> {
    fn rest(&self) -> &'t str {
        &self.text[self.at..]
    }

    fn wrong(&self, why: &'static str) -> XmlError {
        XmlError { why, at: self.at }
    }

    fn space(&mut self) {
        self.at = self.text.len() - self.rest().trim_start().len();
    }

    fn eat(&mut self, word: &str) -> bool {
        let found = self.rest().starts_with(word);
        self.at += if found { word.len() } else { 0 };
        found
    }

    fn need(&mut self, word: &'static str) -> Result<(), XmlError> {
        match self.eat(word) {
            true => Ok(()),
            false => Err(self.wrong("an element is not as it should be")),
        }
    }

    /// What stands before `end`, which is passed over.
    fn until(&mut self, end: &str) -> Result<&'t str, XmlError> {
        let found = self
            .rest()
            .find(end)
            .ok_or_else(|| self.wrong("it ends too early"))?;
        let before = &self.rest()[..found];
        self.at += found + end.len();
        Ok(before)
    }

    fn name(&mut self) -> Result<&'t str, XmlError> {
        let part_of = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.' | ':');
        let length = self.rest().find(|c| !part_of(c)).unwrap_or(self.rest().len());
        let name = &self.rest()[..length];
        if !name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_') {
            return Err(self.wrong("this is no name of an element"));
        }
        self.at += length;
        Ok(name)
    }

    /// An element whose `<` is behind us.
    fn element(&mut self, depth: usize) -> Result<Element, XmlError> {
        self.elements += 1;
        if depth >= DEPTH || self.elements > ELEMENTS {
            return Err(self.wrong("it is nested too deep or too long"));
        }
        let mut element = Element {
            name: self.name()?.to_owned(),
            ..Element::default()
        };
        loop {
            self.space();
            if self.eat("/>") {
                return Ok(element);
            }
            if self.eat(">") {
                break;
            }
            self.name()?;
            self.space();
            self.need("=")?;
            self.space();
            let quote = if self.eat("\"") { "\"" } else { "'" };
            if quote == "'" {
                self.need("'")?;
            }
            self.until(quote)?;
        }
        loop {
            let text = self.until("<")?;
            element.text.push_str(&self.unescaped(text)?);
            if self.eat("/") {
                if self.name()? != element.name {
                    return Err(self.wrong("an element ends that did not begin"));
                }
                self.space();
                self.need(">")?;
                element.text = element.text.trim().to_owned();
                return Ok(element);
            }
            element.children.push(self.element(depth + 1)?);
        }
    }

    fn unescaped(&self, text: &str) -> Result<String, XmlError> {
        let mut parts = text.split('&');
        let mut all = parts.next().unwrap_or("").to_owned();
        for part in parts {
            let (entity, after) = part
                .split_once(';')
                .ok_or_else(|| self.wrong("`&` without `;`"))?;
            let number = |digits: &str, base| u32::from_str_radix(digits, base).ok().and_then(char::from_u32);
            let meant = match entity {
                "amp" => Some('&'),
                "lt" => Some('<'),
                "gt" => Some('>'),
                "quot" => Some('"'),
                "apos" => Some('\''),
                _ => match (entity.strip_prefix("#x"), entity.strip_prefix('#')) {
                    (Some(digits), _) => number(digits, 16),
                    (None, Some(digits)) => number(digits, 10),
                    (None, None) => None,
                },
            };
            all.push(meant.ok_or_else(|| self.wrong("an entity is not known"))?);
            all.push_str(after);
        }
        Ok(all)
    }
}

/// The text with what XML reserves written as entities.
pub(super) fn escaped(text: &str) -> String {
    let mut all = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => all.push_str("&amp;"),
            '<' => all.push_str("&lt;"),
            '>' => all.push_str("&gt;"),
            other => all.push(other),
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn an_answer_of_a_provider_is_read() {
        let text = "\u{feff}<?xml version=\"1.0\"?>\n<A xmlns=\"https://x/?a=1\"><B><c>1 &lt; 2 &#x26; \
                    3</c><c/></B>\n<d a='1' b = \"2\" >x</d ></A>\n";
        let root = parse(text.as_bytes()).unwrap();
        assert_eq!(root.text_at(&["B", "c"]), Some("1 < 2 & 3"));
        assert_eq!(root.at(&["B"]).unwrap().children.len(), 2);
        assert_eq!(root.text_at(&["d"]), Some("x"));
        assert_eq!(root.text_at(&["d", "e"]), None);
    }

    #[test]
    fn what_nobody_sends_is_refused() {
        let deep = "<a>".repeat(DEPTH + 1);
        let many = format!("<a>{}</a>", "<b/>".repeat(ELEMENTS));
        let long = format!("<a>{}</a>", "x".repeat(BYTES));
        for text in [
            "",
            "x",
            "<a>",
            "<a></b>",
            "<a/><b/>",
            "<a>&lol;</a>",
            "<a>&#xD800;</a>",
            "<a b></a>",
            "<a b=c></a>",
            "<!DOCTYPE a [<!ENTITY l \"l\">]><a>&l;</a>",
            "<a><![CDATA[x]]></a>",
            "<a><!-- x --></a>",
            &deep,
            &many,
            &long,
        ] {
            assert!(parse(text.as_bytes()).is_err(), "{}", &text[..text.len().min(40)]);
        }
        assert!(parse(&[b'<', b'a', b'>', 0xff, b'<', b'/', b'a', b'>']).is_err());
    }

    proptest! {
        #[test]
        fn nothing_makes_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200), text in "[<>/a&;#x= '\"?!]{0,60}") {
            let _ = parse(&bytes);
            let _ = parse(text.as_bytes());
        }

        #[test]
        fn what_is_escaped_comes_back(text in "\\PC{0,60}") {
            let document = format!("<a>{}</a>", escaped(&text));
            prop_assert_eq!(parse(document.as_bytes()).unwrap().text, text.trim());
        }
    }
}
