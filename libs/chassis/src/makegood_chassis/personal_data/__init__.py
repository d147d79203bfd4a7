"""What people wrote, encrypted at rest with a key per person. Once the key is destroyed, the texts are unreadable in
every replica, and in every backup without the keys.

`master_keys` encrypt people's keys, a `KeyStore` stores them, `PersonalData` seals and opens texts, `letters` are texts
inside events, and `maintenance` seals what older versions stored in the clear and follows changes of the master key.
"""
