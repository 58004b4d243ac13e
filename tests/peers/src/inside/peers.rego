# The policy for an engine that is given the entries of every party: [list, severity], those in force.
package peers

import rego.v1

outcomes := [max(array.concat([0], ranks)) |
	some entries in input.parties
	ranks := [row.rank |
		some entry in entries
		some row in data.rows[input.place][entry[0]]
		row.severities[entry[1]]
		row.roles[input.role]
		row.provinces[input.province]
		row.from <= input.day
		input.day <= row.to
		row.least <= input.amount
	]
]
