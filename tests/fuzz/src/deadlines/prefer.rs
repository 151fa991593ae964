//! The grammar of `Prefer`: RFC 7240, section 2, with the rules of RFC 9110, section 5.6.
//!
//! ```text
//! Prefer     = 1#preference
//! preference = token [ BWS "=" BWS word ] *( OWS ";" [ OWS parameter ] )
//! parameter  = token [ BWS "=" BWS word ]
//! word       = token / quoted-string
//! ```

/// A name and its value, without the parameters.
#[derive(Debug)]
pub(super) struct Preference {
    pub(super) name: Vec<u8>,
    pub(super) value: Vec<u8>,
    /// There was a backslash in it.
    pub(super) is_escaped: bool,
}

/// `None` if the grammar does not allow it. Empty elements of the list are allowed.
pub(super) fn preferences(field: &[u8]) -> Option<Vec<Preference>> {
    let mut rest = Rest(field);
    let mut all = Vec::new();
    loop {
        rest.skip_spaces();
        if rest.0.first().is_some_and(|byte| *byte != b',') {
            all.push(rest.pair()?);
            rest.skip_spaces();
            while rest.take(b';') {
                rest.skip_spaces();
                if rest.0.first().is_some_and(|byte| !b";,".contains(byte)) {
                    rest.pair()?;
                    rest.skip_spaces();
                }
            }
        }
        if rest.0.is_empty() {
            return Some(all);
        }
        if !rest.take(b',') {
            return None;
        }
    }
}

/// What is not read yet.
struct Rest<'a>(&'a [u8]);

impl Rest<'_> {
    fn take(&mut self, byte: u8) -> bool {
        let is_next = self.0.first() == Some(&byte);
        if is_next {
            self.0 = &self.0[1..];
        }
        is_next
    }

    fn skip_spaces(&mut self) {
        while self.take(b' ') || self.take(b'\t') {}
    }

    fn pair(&mut self) -> Option<Preference> {
        let name = self.token()?;
        let before = self.0;
        self.skip_spaces();
        if !self.take(b'=') {
            self.0 = before;
            return Some(Preference {
                name,
                value: Vec::new(),
                is_escaped: false,
            });
        }
        self.skip_spaces();
        let (value, is_escaped) = if self.take(b'"') {
            self.quoted()?
        } else {
            (self.token()?, false)
        };
        Some(Preference {
            name,
            value,
            is_escaped,
        })
    }

    fn token(&mut self) -> Option<Vec<u8>> {
        let is_tchar =
            |byte: &u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(byte);
        let end = self.0.iter().position(|byte| !is_tchar(byte));
        let (token, rest) = self.0.split_at(end.unwrap_or(self.0.len()));
        self.0 = rest;
        (!token.is_empty()).then(|| token.to_vec())
    }

    /// What stands between the quotes, and whether some of it was escaped. The first quote was read.
    fn quoted(&mut self) -> Option<(Vec<u8>, bool)> {
        let (mut text, mut is_escaped) = (Vec::new(), false);
        loop {
            let (byte, rest) = self.0.split_first()?;
            self.0 = rest;
            match byte {
                b'"' => return Some((text, is_escaped)),
                b'\\' => {
                    let (byte, rest) = self.0.split_first()?;
                    self.0 = rest;
                    text.push(*byte);
                    is_escaped = true;
                }
                byte => text.push(*byte),
            }
        }
    }
}
