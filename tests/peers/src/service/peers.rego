# The policy for an engine that holds every entry: data.entries[party] = [[list, severity, first day, last day], …].
package peers

import rego.v1

outcomes := [ranks_of(step) | some step in input.steps]

ranks_of(step) := [max(array.concat([0], ranks)) |
	some party in step.parties
	ranks := [row.rank |
		some entry in data.entries[party]
		entry[2] <= input.day
		input.day <= entry[3]
		some row in data.rows[step.place][entry[0]]
		row.severities[entry[1]]
		row.roles[step.role]
		row.provinces[step.province]
		row.from <= input.day
		input.day <= row.to
		row.least <= step.amount
	]
]
