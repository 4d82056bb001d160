//! Enumerations that are stored as a small number and shown as a word.
//!
//! The store keeps `code()`, people and JSON see `as_str()`. Both stand beside the variant in one table, so that
//! they cannot drift apart, and both directions come with a typed error. Used by `message`, `ledger` and `retry`;
//! users of the crate meet only the two error types.

/// A stored code that no variant has: written by a newer version, or damaged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{code} is no code of a {what}")]
pub struct UnknownCode {
    /// What was to be read, in words ("message state").
    pub what: &'static str,
    /// The code that was found.
    pub code: i16,
}

/// A word that no variant has, as typed by a person or sent by a caller.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("“{name}” is no {what}")]
pub struct UnknownName {
    /// What was to be read, in words ("message state").
    pub what: &'static str,
    /// The word that was found.
    pub name: String,
}

/// Makes an enumeration out of lines `Variant = code, "word";`.
macro_rules! coded {
    (
        $(#[$meta:meta])*
        pub enum $name:ident : $what:literal {
            $( $(#[$doc:meta])* $variant:ident = $code:literal, $word:literal; )+
        }
    ) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
        #[repr(i16)]
        pub enum $name {
            $( $(#[$doc])* #[serde(rename = $word)] $variant = $code, )+
        }

        impl $name {
            /// Every variant, in the order of the codes.
            pub const ALL: &[$name] = &[$( $name::$variant, )+];

            /// The number the store keeps.
            pub const fn code(self) -> i16 {
                self as i16
            }

            /// The word that JSON, the command line and the documents use.
            pub const fn as_str(self) -> &'static str {
                match self { $( $name::$variant => $word, )+ }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.pad(self.as_str())
            }
        }

        impl std::str::FromStr for $name {
            type Err = crate::UnknownName;

            fn from_str(name: &str) -> Result<Self, Self::Err> {
                match name {
                    $( $word => Ok($name::$variant), )+
                    _ => Err(crate::UnknownName { what: $what, name: name.to_owned() }),
                }
            }
        }

        impl TryFrom<i16> for $name {
            type Error = crate::UnknownCode;

            fn try_from(code: i16) -> Result<Self, Self::Error> {
                match code {
                    $( $code => Ok($name::$variant), )+
                    _ => Err(crate::UnknownCode { what: $what, code }),
                }
            }
        }
    };
}
pub(crate) use coded;

#[cfg(test)]
mod tests {
    use crate::message::State;

    #[test]
    fn code_and_word_lead_back() {
        for &state in State::ALL {
            assert_eq!(State::try_from(state.code()), Ok(state));
            assert_eq!(state.as_str().parse(), Ok(state));
        }
        assert_eq!(State::try_from(0).unwrap_err().to_string(), "0 is no code of a message state");
        assert_eq!("sent".parse::<State>().unwrap_err().to_string(), "“sent” is no message state");
    }
}
