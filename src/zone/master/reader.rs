//! Lines of master files to records and directives.

use std::{
    fs::File,
    io::Read as _,
    path::{Path, PathBuf},
};

use super::{
    Fault, MAX_FILE_OCTETS, MAX_FILES, MAX_INCLUDE_DEPTH, MAX_PROBLEMS, Problem, Read, Source, place,
};
use crate::{
    wire::{
        Class, Name, NameRef, RrType, Ttl,
        name::{MAX_NAME, parse_into},
        text::{
            TextError, expect_end,
            lexer::{LexFault, Lexer, Position, Token},
            need, need_word, read_period, read_rdata, shown,
        },
    },
    zone::{Entry, Place},
};

/// What is wrong, and where in its file.
pub(super) type Wrong = (Position, Fault);

impl From<TextError> for Wrong {
    fn from(error: TextError) -> Self {
        (error.at, Fault::Text(*error.fault))
    }
}

/// What all files of a zone share: the TTLs go on from an included file to the one that includes it, as in BIND.
pub(super) struct Reader<'s> {
    sink: &'s mut dyn FnMut(Entry<'_>),
    pub(super) read: Read,
    default_ttl: Option<Ttl>,
    last_ttl: Option<Ttl>,
    warned_of_previous_ttl: bool,
    /// The files that are open, outermost first, as the system knows them.
    open: Vec<PathBuf>,
    /// The rdata of the record at hand.
    rdata: Vec<u8>,
    /// How many records `$GENERATE` has made.
    pub(super) generated: u64,
}

/// What each file has of its own: an included file leaves the origin and the owner of the including one alone
/// (RFC 1035 §5.1).
pub(super) struct Here {
    pub(super) file: u16,
    folder: Option<PathBuf>,
    pub(super) origin: Name,
    owner: Owner,
}

/// The owner of the record before.
struct Owner {
    state: OwnerState,
    length: usize,
    octets: [u8; MAX_NAME],
}

#[derive(PartialEq, Eq)]
enum OwnerState {
    /// There was none.
    None,
    /// It was not readable: what follows with a blank owner is checked and not handed on.
    Unreadable,
    Known,
}

/// What stands in front of the rdata.
pub(super) struct Front {
    pub(super) ttl: Option<Ttl>,
    pub(super) rtype: RrType,
}

impl Here {
    fn new(file: u16, folder: Option<PathBuf>, origin: Name) -> Self {
        let owner = Owner {
            state: OwnerState::None,
            length: 0,
            octets: [0; MAX_NAME],
        };
        Self {
            file,
            folder,
            origin,
            owner,
        }
    }
}

impl<'s> Reader<'s> {
    pub(super) fn new(sink: &'s mut dyn FnMut(Entry<'_>)) -> Self {
        Self {
            sink,
            read: Read::default(),
            default_ttl: None,
            last_ttl: None,
            warned_of_previous_ttl: false,
            open: Vec::new(),
            rdata: Vec::new(),
            generated: 0,
        }
    }

    pub(super) fn read(mut self, source: &Source<'_>, origin: NameRef<'_>) -> Read {
        match source {
            Source::Text { name, octets } => {
                self.read.files.push(PathBuf::from(name));
                self.text(octets, Here::new(0, None, origin.to_owned()));
            }
            Source::File(path) => {
                if let Err(fault) = self.file(path, origin.to_owned()) {
                    self.read.files.push(path.to_path_buf());
                    self.error(Place::default(), fault);
                }
            }
        }
        self.read
    }

    /// Reads a whole file. A fault is one of the file as such; those within are kept.
    fn file(&mut self, path: &Path, origin: Name) -> Result<(), Fault> {
        if self.open.len() > MAX_INCLUDE_DEPTH {
            return Err(Fault::TooDeep);
        }
        if self.read.files.len() >= MAX_FILES {
            return Err(Fault::TooManyFiles);
        }
        let unreadable = |source| Fault::Unreadable {
            path: path.to_path_buf(),
            source,
        };
        let real = path.canonicalize().map_err(unreadable)?;
        if let Some(first) = self.open.iter().position(|open| *open == real) {
            let mut circle = self.open[first..].to_vec();
            circle.push(real);
            return Err(Fault::Circle(circle));
        }
        let mut octets = Vec::new();
        let file = File::open(path).map_err(unreadable)?;
        // The size is a hint: one octet more saves a last, empty growth.
        let size = file.metadata().map_err(unreadable)?.len().min(MAX_FILE_OCTETS);
        octets.reserve_exact(size as usize + 1);
        file.take(MAX_FILE_OCTETS + 1)
            .read_to_end(&mut octets)
            .map_err(unreadable)?;
        if octets.len() as u64 > MAX_FILE_OCTETS {
            return Err(Fault::TooLarge {
                path: path.to_path_buf(),
            });
        }
        let number = self.read.files.len() as u16;
        self.read.files.push(path.to_path_buf());
        self.open.push(real);
        let folder = path.parent().map(Path::to_path_buf);
        self.text(&octets, Here::new(number, folder, origin));
        self.open.pop();
        Ok(())
    }

    fn text(&mut self, octets: &[u8], mut here: Here) {
        let mut lexer = Lexer::new(octets);
        while !lexer.is_at_end() {
            match self.line(&mut lexer, &mut here) {
                Ok(()) => lexer.next_line(),
                Err((at, fault)) => {
                    self.error(place(here.file, at), fault);
                    if let Some(opened_at) = lexer.skip_record() {
                        let fault = Fault::Text(LexFault::UnclosedParenthesis.into());
                        self.error(place(here.file, opened_at), fault);
                    }
                }
            }
        }
    }

    fn line(&mut self, lexer: &mut Lexer<'_>, here: &mut Here) -> Result<(), Wrong> {
        let is_blank = lexer.is_at_blank();
        lexer.skip_blanks()?;
        if lexer.is_at_end_of_record() {
            return Ok(());
        }
        let at = lexer.position();
        if is_blank {
            if here.owner.state == OwnerState::None {
                return Err((at, Fault::NoOwner));
            }
        } else {
            let first = need(lexer, "an owner")?;
            if first.text.starts_with(b"$") && !first.is_quoted() {
                return self.directive(&first, lexer, here);
            }
            here.owner.read(&first, here.origin.as_ref())?;
        }
        self.record(at, lexer, here)
    }

    #[inline]
    fn record(&mut self, at: Position, lexer: &mut Lexer<'_>, here: &Here) -> Result<(), Wrong> {
        let front = self.front(lexer, here.file)?;
        let origin = Some(here.origin.as_ref());
        if let Err(error) = read_rdata(front.rtype, lexer, origin, &mut self.rdata) {
            let fault = Fault::Record {
                rtype: front.rtype,
                fault: *error.fault,
            };
            return Err((error.at, fault));
        }
        let at_place = place(here.file, at);
        let ttl = self.ttl(&front, at_place).ok_or((at, Fault::NoTtl))?;
        if here.owner.state == OwnerState::Known {
            let owner = NameRef::from_trusted(&here.owner.octets[..here.owner.length]);
            self.emit(owner, ttl, front.rtype, at_place);
        }
        Ok(())
    }

    /// Hands on a record whose rdata is the one at hand.
    fn emit(&mut self, owner: NameRef<'_>, ttl: Ttl, rtype: RrType, at: Place) {
        self.read.records += 1;
        (self.sink)(Entry {
            owner,
            rtype,
            ttl,
            rdata: &self.rdata,
            at,
        });
    }

    /// Hands on a record that `$GENERATE` made: its rdata is `text`.
    pub(super) fn generated(
        &mut self,
        owner: NameRef<'_>,
        front: &Front,
        text: &[u8],
        here: &Here,
        at: Position,
    ) -> Result<(), Wrong> {
        let mut lexer = Lexer::at_line(text, at.line);
        read_rdata(
            front.rtype,
            &mut lexer,
            Some(here.origin.as_ref()),
            &mut self.rdata,
        )?;
        let at_place = place(here.file, at);
        let ttl = self.ttl(front, at_place).ok_or((at, Fault::NoTtl))?;
        self.emit(owner, ttl, front.rtype, at_place);
        Ok(())
    }

    /// TTL and class in either order, both optional, and the type.
    #[inline]
    pub(super) fn front(&mut self, lexer: &mut Lexer<'_>, file: u16) -> Result<Front, Wrong> {
        let (mut ttl, mut class) = (None, None);
        loop {
            let expected = match (&ttl, class) {
                (None, None) => "a TTL, a class or a record type",
                (Some(_), None) => "a class or a record type",
                (None, Some(_)) => "a TTL or a record type",
                (Some(_), Some(_)) => "a record type",
            };
            let token = need_word(lexer, expected)?;
            let unexpected = || Wrong::from(TextError::unexpected(expected, &token));
            if token.text[0].is_ascii_digit() && ttl.is_none() {
                let seconds = read_period(token.text)
                    .ok_or_else(|| TextError::unexpected("a TTL such as 3600 or 1h", &token))?;
                ttl = Some(self.new_ttl(seconds, place(file, token.at)));
            } else if let Some(found) = Class::from_octets(token.text).filter(|_| class.is_none()) {
                if found != Class::IN {
                    return Err((token.at, Fault::Class(shown(&token))));
                }
                class = Some(found);
            } else {
                let rtype = RrType::from_octets(token.text).ok_or_else(unexpected)?;
                if rtype.is_meta() {
                    return Err((token.at, Fault::Meta(rtype)));
                }
                return Ok(Front { ttl, rtype });
            }
        }
    }

    fn new_ttl(&mut self, seconds: u32, at: Place) -> Ttl {
        if seconds > Ttl::MAX.seconds() {
            self.warn(at, Fault::LargeTtl(seconds));
        }
        Ttl::new(seconds)
    }

    /// The record's TTL; or `$TTL`'s; or the last explicit one; or, for an SOA, its minimum, which then stands for
    /// `$TTL`. As BIND has it, on RFC 1035 §5.1 and RFC 2308 §4.
    #[inline]
    fn ttl(&mut self, front: &Front, at: Place) -> Option<Ttl> {
        if let Some(ttl) = front.ttl {
            self.last_ttl = Some(ttl);
            return Some(ttl);
        }
        if let Some(ttl) = self.default_ttl {
            return Some(ttl);
        }
        if let Some(ttl) = self.last_ttl {
            if !self.warned_of_previous_ttl {
                self.warned_of_previous_ttl = true;
                self.warn(at, Fault::PreviousTtl(ttl.seconds()));
            }
            return Some(ttl);
        }
        if front.rtype != RrType::SOA {
            return None;
        }
        let minimum = u32::from_be_bytes(*self.rdata.last_chunk()?);
        self.warn(at, Fault::SoaMinimum(minimum));
        let ttl = self.new_ttl(minimum, at);
        self.default_ttl = Some(ttl);
        Some(ttl)
    }

    fn directive(
        &mut self,
        directive: &Token<'_>,
        lexer: &mut Lexer<'_>,
        here: &mut Here,
    ) -> Result<(), Wrong> {
        match directive.text.to_ascii_uppercase().as_slice() {
            b"$ORIGIN" => {
                let token = need_word(lexer, "a name")?;
                let origin = Name::parse(token.text, Some(here.origin.as_ref()))
                    .map_err(|reason| TextError::name(&token, reason))?;
                here.origin = origin;
                Ok(expect_end(lexer)?)
            }
            b"$TTL" => self.ttl_directive(lexer, here.file),
            b"$INCLUDE" => self.include(lexer, here),
            b"$GENERATE" => self.generate(directive.at, lexer, here),
            _ => Err((directive.at, Fault::Directive(shown(directive)))),
        }
    }

    fn ttl_directive(&mut self, lexer: &mut Lexer<'_>, file: u16) -> Result<(), Wrong> {
        let expected = "a TTL such as 3600 or 1h";
        // Whatever stands here, the records that count on it are not at fault.
        self.default_ttl.get_or_insert_default();
        let token = need_word(lexer, expected)?;
        let seconds = read_period(token.text).ok_or_else(|| TextError::unexpected(expected, &token))?;
        self.default_ttl = Some(self.new_ttl(seconds, place(file, token.at)));
        Ok(expect_end(lexer)?)
    }

    /// `$INCLUDE FILE [ORIGIN]`.
    fn include(&mut self, lexer: &mut Lexer<'_>, here: &Here) -> Result<(), Wrong> {
        let token = need(lexer, "a file name")?;
        let origin = match lexer.token()? {
            None => here.origin.clone(),
            Some(name) => Name::parse(name.text, Some(here.origin.as_ref()))
                .map_err(|reason| TextError::name(&name, reason))?,
        };
        expect_end(lexer)?;
        let folder = here.folder.as_ref().ok_or((token.at, Fault::NoFolder))?;
        let path = folder.join(path_of(token.text));
        self.file(&path, origin).map_err(|fault| (token.at, fault))
    }

    pub(super) fn error(&mut self, at: Place, what: Fault) {
        if self.read.errors.len() < MAX_PROBLEMS {
            self.read.errors.push(Problem { at, what });
        } else {
            self.read.more_errors += 1;
        }
    }

    fn warn(&mut self, at: Place, what: Fault) {
        if self.read.warnings.len() < MAX_PROBLEMS {
            self.read.warnings.push(Problem { at, what });
        }
    }
}

/// File names are octets; a backslash escapes as it does in the token.
fn path_of(text: &[u8]) -> PathBuf {
    use std::os::unix::ffi::OsStringExt;
    let mut octets = Vec::with_capacity(text.len());
    let mut rest = text.iter();
    while let Some(&octet) = rest.next() {
        octets.push(match octet {
            b'\\' => rest.next().copied().unwrap_or(octet),
            _ => octet,
        });
    }
    PathBuf::from(std::ffi::OsString::from_vec(octets))
}

impl Owner {
    #[inline]
    fn read(&mut self, token: &Token<'_>, origin: NameRef<'_>) -> Result<(), Wrong> {
        self.state = OwnerState::Unreadable;
        if token.is_quoted() {
            return Err(TextError::unexpected("an owner", token).into());
        }
        self.length = parse_into(token.text, Some(origin), &mut self.octets)
            .map_err(|reason| TextError::name(token, reason))?;
        self.state = OwnerState::Known;
        Ok(())
    }
}
