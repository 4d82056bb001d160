//! A value on its way into a statement. PostgreSQL wants to know the type of a null too.

use std::borrow::Cow;

/// What kind of value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// `smallint`: lanes, codes.
    Small,
    /// `bigint`.
    Int,
    Bool,
    Float,
    Text,
    Bytes,
}

/// A value, or a null of a kind.
#[derive(Debug, Clone)]
pub(crate) enum Value<'q> {
    Null(Kind),
    Small(i16),
    Int(i64),
    Bool(bool),
    Float(f64),
    Text(Cow<'q, str>),
    Bytes(Cow<'q, [u8]>),
    /// Columns of a batch, on PostgreSQL.
    Smalls(Vec<Option<i16>>),
    Ints(Vec<Option<i64>>),
    Bools(Vec<Option<bool>>),
    Texts(Vec<Option<Cow<'q, str>>>),
    Blobs(Vec<Option<Vec<u8>>>),
}

impl Value<'_> {
    pub(crate) fn kind(&self) -> Kind {
        match self {
            Self::Null(kind) => *kind,
            Self::Small(_) | Self::Smalls(_) => Kind::Small,
            Self::Int(_) | Self::Ints(_) => Kind::Int,
            Self::Bool(_) | Self::Bools(_) => Kind::Bool,
            Self::Float(_) => Kind::Float,
            Self::Text(_) | Self::Texts(_) => Kind::Text,
            Self::Bytes(_) | Self::Blobs(_) => Kind::Bytes,
        }
    }
}

/// The kind of a type, for its null.
pub(crate) trait Kinded {
    const KIND: Kind;

    fn value(&self) -> Value<'_>;
}

macro_rules! plain {
    ($($type:ty => $kind:ident, |$it:ident| $value:expr;)*) => {$(
        impl Kinded for $type {
            const KIND: Kind = Kind::$kind;
            fn value(&self) -> Value<'_> { (*self).into() }
        }
        impl Kinded for &$type {
            const KIND: Kind = Kind::$kind;
            fn value(&self) -> Value<'_> { (**self).into() }
        }
        impl From<$type> for Value<'_> { fn from($it: $type) -> Self { $value } }
        impl From<&$type> for Value<'_> { fn from(it: &$type) -> Self { let $it = *it; $value } }
    )*};
}
plain! {
    i16 => Small, |it| Value::Small(it);
    u16 => Small, |it| Value::Small(i16::try_from(it).unwrap_or(i16::MAX));
    i32 => Int, |it| Value::Int(i64::from(it));
    i64 => Int, |it| Value::Int(it);
    bool => Bool, |it| Value::Bool(it);
    f64 => Float, |it| Value::Float(it);
}

macro_rules! owned {
    ($($owned:ty, $borrowed:ty => $kind:ident;)*) => {$(
        impl Kinded for $owned {
            const KIND: Kind = Kind::$kind;
            fn value(&self) -> Value<'_> { self.into() }
        }
        impl Kinded for &$owned {
            const KIND: Kind = Kind::$kind;
            fn value(&self) -> Value<'_> { (*self).into() }
        }
        impl Kinded for &$borrowed {
            const KIND: Kind = Kind::$kind;
            fn value(&self) -> Value<'_> { (*self).into() }
        }
        impl From<$owned> for Value<'_> { fn from(it: $owned) -> Self { Self::$kind(Cow::Owned(it)) } }
        impl<'q> From<&'q $owned> for Value<'q> { fn from(it: &'q $owned) -> Self { Self::$kind(Cow::Borrowed(it)) } }
        impl<'q> From<&'q $borrowed> for Value<'q> { fn from(it: &'q $borrowed) -> Self { Self::$kind(Cow::Borrowed(it)) } }
    )*};
}
owned! {
    String, str => Text;
    Vec<u8>, [u8] => Bytes;
}

impl<'q, T: Kinded + Into<Value<'q>>> From<Option<T>> for Value<'q> {
    fn from(it: Option<T>) -> Self {
        it.map_or(Self::Null(T::KIND), Into::into)
    }
}

impl<'q, T: Kinded> From<&'q Option<T>> for Value<'q> {
    fn from(it: &'q Option<T>) -> Self {
        it.as_ref().map_or(Self::Null(T::KIND), Kinded::value)
    }
}

impl<'q> Value<'q> {
    /// A column of a batch, still empty.
    pub(crate) fn column(kind: Kind, rows: usize) -> Self {
        match kind {
            Kind::Small => Self::Smalls(Vec::with_capacity(rows)),
            Kind::Int | Kind::Float => Self::Ints(Vec::with_capacity(rows)),
            Kind::Bool => Self::Bools(Vec::with_capacity(rows)),
            Kind::Text => Self::Texts(Vec::with_capacity(rows)),
            Kind::Bytes => Self::Blobs(Vec::with_capacity(rows)),
        }
    }

    /// Adds a value of the column's kind; one of another kind is none.
    pub(crate) fn push(&mut self, value: Self) {
        match (self, value) {
            (Self::Smalls(all), value) => all.push(if let Self::Small(it) = value { Some(it) } else { None }),
            (Self::Ints(all), value) => all.push(if let Self::Int(it) = value { Some(it) } else { None }),
            (Self::Bools(all), value) => all.push(if let Self::Bool(it) = value { Some(it) } else { None }),
            (Self::Texts(all), value) => all.push(match value {
                Self::Text(it) if it.contains('\0') => Some(Cow::Owned(it.replace('\0', "\u{fffd}"))),
                Self::Text(it) => Some(it),
                _ => None,
            }),
            (Self::Blobs(all), value) => {
                all.push(if let Self::Bytes(it) = value { Some(it.into_owned()) } else { None });
            }
            _ => {}
        }
    }
}
