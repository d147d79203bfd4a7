"""Words that people wrote, encrypted at rest with a key for each person: once the key is gone, so are the words, in every
replica, and in every backup that does not hold the keys.

`master_keys` wrap people's keys, a `KeyStore` keeps them, `PersonalData` seals and opens texts, `letters` are texts inside
events, `maintenance` seals what older versions left in the clear and follows a change of the master key.
"""
