//! Several signers of one zone: what each shows, whether a resolver that mixes them validates, and the exchange of
//! keys between them.
